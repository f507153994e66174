// `isthmus shm`: looks at the shared-memory channels of this machine. No server is needed.

import type * as Channels from '../shm/index.ts';
import type { ChannelReport, Peer } from '../shm/index.ts';
import { command, type Context, EXIT, type Input, UsageFault } from './command.ts';
import { printable } from './payload-text.ts';

type Shm = typeof Channels;

const ACTIONS = ['list', 'inspect', 'clear'] as const;
type Action = (typeof ACTIONS)[number];

const OPTIONS = {
  group: { kind: 'flag', short: 'g', help: 'inspect, clear: the channel is one that is open to the group' },
  json: { kind: 'flag', help: 'list: a line of JSON for each channel; inspect: one for the channel' },
} as const;

const HEAD = ['NAME', 'TYPE', 'POLICY', 'MESSAGES', 'SENDERS', 'RECEIVERS', 'BEHIND'];
const PEER_HEAD = ['PID', 'NAME', 'DOES', 'BEHIND', 'SINCE'];

type ShmInput = Input<typeof OPTIONS>;

export const shm = command({
  name: 'shm',
  summary: 'Look at shared-memory channels',
  usage: `${ACTIONS.join('|')} [NAME]`,
  words: { min: 1, max: 2, choices: ACTIONS },
  description: [
    'list names the channels that somebody is in, and removes what killed processes left. inspect says how one is made, who is in it, and how far each receiver is behind. Neither takes part in the traffic.',
    'clear removes the file of a channel, used or not: who is in it goes on among themselves, who comes later gets a new one. It is not needed to tidy up.',
  ],
  options: OPTIONS,
  examples: [
    ['shm list', ''],
    ['shm inspect prices', ''],
    ['shm inspect prices --json', 'for scripts'],
  ],
  run,
});

async function run(input: ShmInput, context: Context): Promise<number> {
  const [word, name] = input.words;
  const action = word as Action;
  if (action === 'list' && name !== undefined)
    throw new UsageFault(`unexpected '${printable(name)}'; list takes no name`);
  if (action === 'list' && input.values.group) throw new UsageFault('--group is of inspect and clear, not of list');
  if (action !== 'list' && name === undefined) throw new UsageFault(`${action}: NAME is missing`);
  const channels = await import('../shm/index.ts');
  if (name === undefined) return listAll(channels, input, context);
  return action === 'inspect' ? inspectOne(channels, name, input, context) : clearOne(channels, name, input, context);
}

/** A report as it is printed. */
interface Shown extends Omit<ChannelReport, 'type'> {
  readonly type: keyof Shm['ChannelType'];
  readonly group: boolean;
}

function look({ inspect, ChannelType }: Shm, name: string, group: boolean): Shown | undefined {
  const report = inspect(name, { group });
  return report && { ...report, type: report.type === ChannelType.ROUTE ? 'ROUTE' : 'CHANNEL', group };
}

async function listAll(channels: Shm, { values }: ShmInput, { terminal }: Context): Promise<number> {
  const rows: string[][] = [];
  for (const { name, group } of channels.list()) {
    try {
      const shown = look(channels, name, group);
      // Otherwise it has gone since the list was made.
      if (shown && values.json) await terminal.line(JSON.stringify(shown));
      else if (shown) rows.push(rowOf(shown));
    } catch (error) {
      // One that is broken, or of another layout, hides no other.
      const { message, ...details } = error as Error;
      const text = `${printable(name)}: ${printable(message)}`;
      terminal.log('warn', 'unreadable', terminal.style('yellow', text), { channel: name, message, ...details });
    }
  }
  if (rows.length > 0) await terminal.write(table([HEAD, ...rows]));
  else if (!values.json) terminal.log('info', 'none', terminal.style('dim', 'Nobody is in any channel.'));
  return EXIT.ok;
}

async function inspectOne(
  channels: Shm,
  name: string,
  { values }: ShmInput,
  { terminal, program }: Context,
): Promise<number> {
  const shown = look(channels, name, values.group);
  if (shown === undefined) throw nobodyIn(name, program);
  if (values.json) {
    await terminal.line(JSON.stringify(shown));
    return EXIT.ok;
  }
  const facts = [
    shown.type,
    shown.policy === 'evict-after' ? `evict-after ${shown.evictAfterMs} ms` : shown.policy,
    ...(shown.latest ? ['latest value only'] : []),
    ...(shown.history > 0 ? [`history of ${shown.history}`] : []),
    `ring of ${shown.capacityBytes} bytes`,
    `${shown.messages} messages`,
  ];
  await terminal.line(`${terminal.styleOut('bold', printable(name))}: ${facts.join(', ')}`);
  if (shown.peers.length > 0) {
    await terminal.write(table([PEER_HEAD, ...shown.peers.map((peer) => peerRow(peer, shown))]));
  }
  return EXIT.ok;
}

function clearOne(channels: Shm, name: string, { values }: ShmInput, { terminal, program }: Context): number {
  if (!channels.clearChannelStorage(name, { group: values.group })) throw nobodyIn(name, program);
  terminal.log('info', 'cleared', `Removed ${printable(name)}.`, { channel: name });
  return EXIT.ok;
}

const nobodyIn = (name: string, program: string): Error =>
  new Error(`there is no channel '${printable(name)}'; '${program} shm list' says which there are`);

function rowOf(shown: Shown): string[] {
  const receivers = shown.peers.filter(({ receives }) => receives);
  const senders = shown.peers.filter(({ sends }) => sends);
  const lag = Math.max(...receivers.map(({ lagBytes }) => lagBytes));
  return [
    printable(shown.name),
    shown.type,
    shown.policy,
    String(shown.messages),
    String(senders.length),
    String(receivers.length),
    receivers.length === 0 ? '' : behind(lag, shown),
  ];
}

function peerRow({ pid, name, sends, receives, evicted, lagBytes, joinedAt }: Peer, shown: Shown): string[] {
  const does = [...(sends ? ['sends'] : []), ...(receives ? ['receives'] : []), ...(evicted ? ['evicted'] : [])];
  const lag = receives ? behind(lagBytes, shown) : '';
  return [String(pid), printable(name), does.join(', ') || 'looks', lag, joinedAt.toISOString()];
}

/** How much of the ring a receiver has yet to read. */
const behind = (bytes: number, { capacityBytes }: Shown): string => `${Math.ceil((100 * bytes) / capacityBytes)} %`;

function table(rows: readonly (readonly string[])[]): string {
  const [head = []] = rows;
  const widths = head.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}
