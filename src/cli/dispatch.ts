// From the arguments of the process to the exit code: finds the command, reads its input, runs it.

import { readArguments } from './arguments.ts';
import { type Command, type Context, EXIT, UsageFault } from './command.ts';
import { reportFault } from './faults.ts';
import { commandHelp, overview } from './help.ts';
import { nearest } from './nearest.ts';
import { resolveInput } from './settings.ts';

/** Gives the exit code. Throws nothing. */
export async function dispatch(args: readonly string[], context: Context): Promise<number> {
  const [first, ...rest] = args;
  const { commands, terminal, version } = context;
  const found = commands.find(({ name }) => name === first);
  try {
    if (found !== undefined) return await runCommand(found, rest, context);
    switch (first) {
      case '--version':
      case '-V':
        await terminal.line(version);
        return EXIT.ok;
      case '--help':
      case '-h':
      case 'help':
        await terminal.line(rest[0] === undefined ? overview(context) : commandHelp(named(rest[0], commands), context));
        return EXIT.ok;
      case undefined:
        terminal.log('error', 'usage', overview(context));
        return EXIT.usage;
      default:
        named(first, commands);
        return EXIT.usage;
    }
  } catch (thrown) {
    return reportFault(thrown, found?.name ?? '', context);
  }
}

async function runCommand(command: Command, args: readonly string[], context: Context): Promise<number> {
  // Whoever asked for JSON gets even the complaint about the other flags as JSON.
  const end = args.indexOf('--');
  context.terminal.json = 'json' in command.options && args.slice(0, end < 0 ? args.length : end).includes('--json');
  const given = readArguments(command, args);
  if (given.given.has('help')) {
    await context.terminal.line(commandHelp(command, context));
    return EXIT.ok;
  }
  return command.run(resolveInput(command, given, context.commands, process.env), context);
}

function named(name: string, commands: readonly Command[]): Command {
  const found = commands.find((one) => one.name === name);
  if (found !== undefined) return found;
  const known = [...commands.map((one) => one.name), 'help'];
  const meant = nearest(name, known);
  const what = name.startsWith('-') ? 'flag' : 'command';
  const hint = meant === undefined || what === 'flag' ? `commands: ${known.join(', ')}` : `did you mean ${meant}?`;
  throw new UsageFault(`unknown ${what} ${name}; ${hint}`);
}
