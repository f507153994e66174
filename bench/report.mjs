// @ts-check
// Medians, ratios and tables. A ratio is taken within each round, where both parties met the same machine, and the
// median of the ratios is shown: it is steadier than the ratio of two medians.

import { WORK, label } from './scenarios.mjs';

/** @typedef {import('./scenarios.mjs').Cell} Cell */
/** @typedef {{ cell: Cell, runs: (Record<string, number> | undefined)[], errors: string[] }} Outcome */

/** @param {number[]} values */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const high = sorted[middle];
  if (high === undefined) return Number.NaN;
  return sorted.length % 2 === 1 ? high : (high + (sorted[middle - 1] ?? high)) / 2;
}

/** @type {Record<string, string>} a transport without a floor of its own is measured against this one */
const FLOOR_TRANSPORT = { websocket: 'tcp', stdio: 'unix' };

/**
 * The line that a ratio refers to: same figure, and as far as there is one, same way and same transport.
 * @param {Outcome[]} outcomes
 * @param {Cell} cell
 * @param {string} name
 */
export function baseline(outcomes, cell, name) {
  const score = (/** @type {Cell} */ other) => {
    if (other.party.name !== name || other.scenario !== cell.scenario || other.sizeBytes !== cell.sizeBytes) return 0;
    if (other.subscribers !== cell.subscribers || other.ownProcesses !== cell.ownProcesses) return 0;
    const transport = FLOOR_TRANSPORT[cell.transport] ?? cell.transport;
    return 1 + (other.topology === cell.topology ? 4 : 0) + (other.transport === transport ? 2 : 0);
  };
  let best;
  for (const outcome of outcomes) {
    const points = score(outcome.cell);
    if (points > 0 && (best === undefined || points > score(best.cell))) best = outcome;
  }
  return best;
}

/** @param {number} value */
function rounded(value) {
  if (!Number.isFinite(value)) return '–';
  if (value === 0) return '0';
  if (Math.abs(value) < 10) return value.toFixed(2);
  if (Math.abs(value) < 100) return value.toFixed(1);
  return Math.round(value).toLocaleString('en-US');
}

/** @param {number} value */
const kilobytes = (value) => rounded(value / 1024);

/** @type {Record<string, { key: string, title: string, show: (value: number) => string, ratio?: boolean, worst?: boolean }[]>} */
const COLUMNS = {
  roundtrip: [
    { key: 'p50Us', title: 'p50 µs', show: rounded, ratio: true },
    { key: 'p99Us', title: 'p99 µs', show: rounded },
    { key: 'cpuUs', title: 'CPU µs', show: rounded },
  ],
  requests: [
    { key: 'perSecond', title: 'requests/s', show: rounded, ratio: true },
    { key: 'cpuUs', title: 'CPU µs', show: rounded },
  ],
  oneway: [
    { key: 'perSecond', title: 'msg/s', show: rounded, ratio: true },
    { key: 'megabytesPerSecond', title: 'MB/s', show: rounded },
    { key: 'cpuUs', title: 'CPU µs', show: rounded },
    { key: 'lost', title: 'lost', show: rounded, worst: true },
  ],
  fanout: [
    { key: 'perSecond', title: 'deliveries/s', show: rounded, ratio: true },
    { key: 'cpuUs', title: 'CPU µs', show: rounded },
    { key: 'lost', title: 'lost', show: rounded, worst: true },
  ],
  idle: [
    { key: 'hubRssBytes', title: 'server RSS KiB', show: kilobytes, ratio: true },
    { key: 'hubHeapBytes', title: 'server heap KiB', show: kilobytes },
    { key: 'clientRssBytes', title: 'client RSS KiB', show: kilobytes },
    { key: 'clientHeapBytes', title: 'client heap KiB', show: kilobytes },
  ],
};

/**
 * @param {Outcome} outcome
 * @param {string} key
 */
function valuesOf({ runs }, key) {
  return runs.flatMap((run) => (run === undefined || run[key] === undefined ? [] : [run[key]]));
}

/**
 * @param {Outcome} outcome
 * @param {Outcome} to
 * @param {string} key
 */
function ratio(outcome, to, key) {
  const ratios = outcome.runs.flatMap((run, round) => {
    const mine = run?.[key];
    const theirs = to.runs[round]?.[key];
    return mine === undefined || theirs === undefined ? [] : [mine / theirs];
  });
  return median(ratios);
}

/** @param {Cell} cell */
function way(cell) {
  const forwarded = cell.topology === 'forwarded' || cell.party.adapter.broker === true;
  const crossings = (forwarded ? 2 : 1) * (WORK[cell.scenario] === 'request' ? 2 : 1);
  const separate = cell.ownProcesses || cell.party.adapter.separate === true;
  const subscribers = cell.scenario === 'fanout' && separate ? cell.subscribers : 1;
  return { processes: 1 + subscribers + (forwarded ? 1 : 0), crossings };
}

/**
 * @param {Outcome[]} outcomes of one figure
 * @param {string[]} against
 */
function table(outcomes, against) {
  const scenario = outcomes[0]?.cell.scenario ?? 'requests';
  const columns = COLUMNS[scenario] ?? [];
  const measured = columns.find((column) => column.ratio) ?? columns[0];
  const header = ['party', 'transport', 'processes', 'crossings', ...columns.map(({ title }) => title)];
  header.push('range', ...against.map((name) => `× ${name}`), 'runs');
  const lines = [header, header.map((_, i) => (i < 2 ? '---' : '---:'))];
  for (const outcome of outcomes) {
    const { cell, runs, errors } = outcome;
    const { processes, crossings } = way(cell);
    const line = [cell.party.name, cell.transport, String(processes), String(crossings)];
    for (const { key, show, worst } of columns) {
      const values = valuesOf(outcome, key);
      line.push(show(worst ? Math.max(...values) : median(values)));
    }
    if (measured !== undefined) {
      const values = valuesOf(outcome, measured.key);
      line.push(
        values.length === 0 ? '–' : `${measured.show(Math.min(...values))}–${measured.show(Math.max(...values))}`,
      );
      for (const name of against) {
        const to = baseline(outcomes, cell, name);
        line.push(to === undefined ? '–' : rounded(ratio(outcome, to, measured.key)));
      }
    }
    const done = runs.filter((run) => run !== undefined).length;
    line.push(errors.length === 0 ? String(done) : `${done}, ${errors.length} failed`);
    lines.push(line);
  }
  return lines.map((line) => `| ${line.join(' | ')} |`).join('\n');
}

/** @param {Cell} cell */
function figure({ scenario, sizeBytes, subscribers, ownProcesses }) {
  const size =
    sizeBytes >= 1024 * 1024
      ? `${sizeBytes / 1024 / 1024} MiB`
      : sizeBytes >= 1024
        ? `${sizeBytes / 1024} KiB`
        : `${sizeBytes} B`;
  if (scenario === 'roundtrip') return `Round trip, ${size}, one at a time`;
  if (scenario === 'requests') return `Requests, ${size}, 100 outstanding`;
  if (scenario === 'oneway') return `One-way, ${size}`;
  if (scenario === 'idle') return 'Memory of an idle connection';
  const where = ownProcesses ? 'each in a process of its own' : 'all in one process';
  return `Fan-out 1 to ${subscribers}, ${size}, subscribers ${where}`;
}

/**
 * @param {Outcome[]} outcomes
 * @param {string[]} against
 */
export function markdown(outcomes, against) {
  const figures = byFigure(outcomes);
  const parts = [];
  for (const [title, group] of figures) {
    parts.push(`### ${title}\n\n${table(group, against)}`);
    const failures = group.flatMap(({ cell, errors }) =>
      errors.map((error) => `- ${label(cell)}: ${error.split('\n')[0]}`),
    );
    const corrupt = group.filter((outcome) => valuesOf(outcome, 'corrupt').some((value) => value > 0));
    failures.push(...corrupt.map(({ cell }) => `- ${label(cell)}: corrupt payloads arrived`));
    if (failures.length > 0) parts.push(failures.join('\n'));
  }
  return parts.join('\n\n');
}

/** @param {Outcome[]} outcomes */
function byFigure(outcomes) {
  /** @type {Map<string, Outcome[]>} */
  const groups = new Map();
  for (const outcome of outcomes) {
    const title = figure(outcome.cell);
    const group = groups.get(title);
    if (group === undefined) groups.set(title, [outcome]);
    else group.push(outcome);
  }
  return groups;
}
