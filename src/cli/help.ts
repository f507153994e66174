// Help, made from the table of commands.

import { COMMON_OPTIONS } from './arguments.ts';
import { type Command, type Context, EXIT, type Option } from './command.ts';

const GAP = 3;

/** What `isthmus --help` prints. */
export function overview({ commands, program, version, terminal }: Context): string {
  const bold = (text: string): string => terminal.styleOut('bold', text);
  return [
    `isthmus ${version}: talk between processes`,
    '',
    `${bold('Usage:')} isthmus COMMAND [OPTIONS]`,
    '',
    bold('Commands:'),
    ...rows(
      commands.map(({ name, summary }) => [name, summary]),
      terminal.columns,
    ),
    '',
    bold('Options:'),
    ...rows(
      [
        ['-h, --help', `Show this; 'isthmus COMMAND --help' says more about one`],
        ['-V, --version', 'Show the version'],
      ],
      terminal.columns,
    ),
    '',
    bold('Begin with:'),
    ...rows([[`${program} serve`, 'in one terminal; it says what to type into another']], terminal.columns),
    '',
    ...paragraph(
      'A flag wins over its environment variable, that over the file isthmus.config.json, that over the default. ' +
        `Exit codes: ${EXIT.ok} done, ${EXIT.failure} failed, ${EXIT.usage} wrong arguments, ${EXIT.interrupted} Ctrl-C, ${EXIT.terminated} SIGTERM.`,
      terminal.columns,
    ),
  ].join('\n');
}

/** What `isthmus COMMAND --help` prints. */
export function commandHelp(command: Command, { terminal }: Context): string {
  const bold = (text: string): string => terminal.styleOut('bold', text);
  const usage = command.usage === '' ? '' : ` ${command.usage}`;
  return [
    `${command.summary}.`,
    '',
    `${bold('Usage:')} isthmus ${command.name} [OPTIONS]${usage}`,
    '',
    ...(command.description ?? []).flatMap((text) => [...paragraph(text, terminal.columns), '']),
    bold('Options:'),
    ...rows(
      Object.entries({ ...command.options, ...COMMON_OPTIONS }).map(([name, option]) => [
        flagOf(name, option),
        wordsOf(option),
      ]),
      terminal.columns,
    ),
    '',
    bold('Examples:'),
    ...rows(
      command.examples.map(([args, what]) => [`isthmus ${args}`, what]),
      terminal.columns,
    ),
  ].join('\n');
}

function flagOf(name: string, option: Option): string {
  const short = option.short === undefined ? '    ' : `-${option.short}, `;
  return `${short}--${name}${option.kind === 'flag' ? '' : ` ${option.placeholder}`}`;
}

function wordsOf(option: Option): string {
  const fallback = option.kind === 'flag' ? undefined : option.default;
  const notes = [
    ...(fallback === undefined ? [] : [`default ${fallback}`]),
    ...(option.env === undefined ? [] : [`$${option.env}`]),
  ];
  return notes.length === 0 ? option.help : `${option.help} [${notes.join(', ')}]`;
}

/** Two columns; what does not fit on the right goes on below. */
function rows(pairs: readonly (readonly [left: string, right: string])[], columns: number): string[] {
  const width = Math.max(...pairs.map(([left]) => left.length));
  return pairs.flatMap(([left, right]) => {
    const [first = '', ...more] = wrapped(right, Math.max(30, columns - width - GAP - 2));
    const indent = ' '.repeat(2 + width + GAP);
    return [`  ${left.padEnd(width + GAP)}${first}`, ...more.map((line) => indent + line)];
  });
}

function paragraph(text: string, columns: number): string[] {
  return wrapped(text, Math.min(columns, 100));
}

function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
