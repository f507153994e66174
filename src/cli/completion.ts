// `isthmus completion`: a script that teaches a shell the commands and flags of the table.

import { COMMON_OPTIONS } from './arguments.ts';
import { type Command, command, type Context, EXIT, type Input, type Option } from './command.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;

const SCRIPTS: Readonly<Record<string, (commands: readonly Command[]) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

export const completion = command({
  name: 'completion',
  summary: 'Print a completion script for a shell',
  usage: 'SHELL',
  words: { min: 1, max: 1, choices: SHELLS },
  description: [`SHELL is ${SHELLS.join(', ')}. The shell must find the command under the name isthmus.`],
  options: {},
  examples: [
    ['completion bash >> ~/.bashrc', ''],
    ['completion zsh > "${fpath[1]}/_isthmus"', ''],
    ['completion fish > ~/.config/fish/completions/isthmus.fish', ''],
  ],
  run,
});

async function run(input: Input, { terminal, commands }: Context): Promise<number> {
  await terminal.write(SCRIPTS[input.words[0] ?? '']?.(commands) ?? '');
  return EXIT.ok;
}

function optionsOf(one: Command): [string, Option][] {
  return Object.entries({ ...one.options, ...COMMON_OPTIONS });
}

/** What may stand behind a flag: words, a file, or anything. */
function choicesOf(option: Option): readonly string[] | 'file' | undefined {
  if (option.kind !== 'text') return undefined;
  return option.choices ?? option.names;
}

function flagsOf(name: string, option: Option): string[] {
  return option.short === undefined ? [`--${name}`] : [`--${name}`, `-${option.short}`];
}

function bashScript(commands: readonly Command[]): string {
  const cases = commands.map((one) => {
    const options = optionsOf(one);
    const values = options
      .filter(([, option]) => option.kind !== 'flag')
      .map(([name, option]) => {
        const choices = choicesOf(option);
        const reply = choices === 'file' ? '-f' : `-W "${choices?.join(' ') ?? ''}"`;
        return `        ${flagsOf(name, option).join('|')}) COMPREPLY=($(compgen ${reply} -- "$current")); return;;`;
      });
    const flags = options.map(([name]) => `--${name}`).join(' ');
    return [
      `    ${one.name})`,
      '      case $previous in',
      ...values,
      '      esac',
      `      if [[ $current == -* ]]; then COMPREPLY=($(compgen -W "${flags}" -- "$current"))`,
      `      elif [[ $COMP_CWORD -eq 2 ]]; then COMPREPLY=($(compgen -W "${one.words.choices?.join(' ') ?? ''}" -- "$current")); fi;;`,
    ].join('\n');
  });
  const names = [...commands.map(({ name }) => name), 'help'].join(' ');
  return `# bash completion for isthmus
_isthmus() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]}
  COMPREPLY=()
  if [[ $COMP_CWORD -eq 1 ]]; then
    COMPREPLY=($(compgen -W "${names} --help --version" -- "$current"))
    return
  fi
  case \${COMP_WORDS[1]} in
    help) COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(' ')}" -- "$current"));;
${cases.join('\n')}
  esac
}
complete -F _isthmus isthmus
`;
}

function zshScript(commands: readonly Command[]): string {
  const cases = commands.map((one) => {
    const specs = optionsOf(one).map(([name, option]) => {
      const flags = flagsOf(name, option);
      const names = flags.length === 1 ? `'${flags[0]}` : `'(${flags.join(' ')})'{${flags.join(',')}}'`;
      return `        ${names}[${zshText(option.help)}]${zshValue(option)}'`;
    });
    const { choices, max } = one.words;
    const words =
      choices === undefined
        ? max === 0
          ? []
          : [`        '*:: :'`]
        : [`        '1:${one.usage.split(' ')[0]}:(${choices.join(' ')})'`, ...(max === 1 ? [] : [`        '*: : '`])];
    return [`    ${one.name})`, '      _arguments \\', `${[...specs, ...words].join(' \\\n')};;`].join('\n');
  });
  const names = commands.map(({ name, summary }) => `    '${name}:${zshText(summary)}'`);
  return `#compdef isthmus
_isthmus() {
  local -a commands
  commands=(
${names.join('\n')}
    'help:Show help'
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local name=$words[2]
  shift words
  (( CURRENT -= 1 ))
  case $name in
    help) _describe command commands;;
${cases.join('\n')}
  esac
}
if [ "$funcstack[1]" = _isthmus ]; then _isthmus "$@"; else compdef _isthmus isthmus; fi
`;
}

function zshText(text: string): string {
  return text.replaceAll(/[[\]:\\]/g, String.raw`\$&`).replaceAll("'", String.raw`'\''`);
}

function zshValue(option: Option): string {
  if (option.kind === 'flag') return '';
  const choices = choicesOf(option);
  if (choices === 'file') return `:${option.placeholder}:_files`;
  return choices === undefined ? `:${option.placeholder}: ` : `:${option.placeholder}:(${choices.join(' ')})`;
}

function fishScript(commands: readonly Command[]): string {
  const text = (words: string): string => `'${words.replaceAll(/['\\]/g, String.raw`\$&`)}'`;
  const lines = commands.flatMap((one) => [
    `complete -c isthmus -n __fish_use_subcommand -a ${one.name} -d ${text(one.summary)}`,
    ...(one.words.choices === undefined
      ? []
      : [
          `complete -c isthmus -n '__fish_seen_subcommand_from ${one.name}; and not __fish_seen_subcommand_from ${one.words.choices.join(' ')}' -a '${one.words.choices.join(' ')}'`,
        ]),
    ...optionsOf(one).map(([name, option]) => {
      const choices = choicesOf(option);
      const value =
        option.kind === 'flag'
          ? ''
          : choices === 'file'
            ? ' -r -F'
            : choices === undefined
              ? ' -x'
              : ` -x -a '${choices.join(' ')}'`;
      const short = option.short === undefined ? '' : ` -s ${option.short}`;
      return `complete -c isthmus -n '__fish_seen_subcommand_from ${one.name}' -l ${name}${short}${value} -d ${text(option.help)}`;
    }),
  ]);
  return `# fish completion for isthmus
complete -c isthmus -f
complete -c isthmus -n __fish_use_subcommand -a help -d 'Show help'
${lines.join('\n')}
`;
}
