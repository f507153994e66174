// What the command makes of flags, variables and the configuration file, and what it says when they are wrong.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { ROOT, run, startServer, temporaryFolder } from './command-process.ts';

const COMMANDS = ['serve', 'pub', 'sub', 'call', 'pipe', 'shm', 'completion'];

const WRONG: readonly (readonly [args: readonly string[], said: RegExp])[] = [
  [['serv'], /^isthmus: unknown command serv; did you mean serve\?$/],
  [['frobnicate'], /^isthmus: unknown command frobnicate; commands: serve, pub, .*$/],
  [['--prot', '1'], /^isthmus: unknown flag --prot; commands: .*$/],
  [['help', 'cal'], /^isthmus: unknown command cal; did you mean call\?$/],
  [['serve', '--prot', '1'], /^isthmus serve: unknown flag --prot; did you mean --port\?$/],
  [['serve', '--max-conections=1'], /^isthmus serve: unknown flag --max-conections; did you mean --max-connections\?$/],
  [['pub', '--constructor', 'x'], /^isthmus pub: unknown flag --constructor \(see .*\)$/],
  [['serve', 'now'], /^isthmus serve: unexpected 'now' .*$/],
  [['serve', '--port'], /^isthmus serve: --port needs a value: --port PORT .*$/],
  [['serve', '--port', '--host'], /^isthmus serve: --port needs a value; .*$/],
  [['serve', '--json=yes'], /^isthmus serve: --json takes no value .*$/],
  [['serve', '--port', '1', '--port', '2'], /^isthmus serve: --port is given twice .*$/],
  [['serve', '--port', '70000'], /^isthmus serve: --port: expected an integer from 0 to 65535, got '70000' .*$/],
  [['serve', '--port', '1e3'], /^isthmus serve: --port: expected an integer .*$/],
  [['serve', '--host', 'localhost', '--path', 'x'], /^isthmus serve: --path and --host exclude each other .*$/],
  [['pub'], /^isthmus pub: CHANNEL is missing .*$/],
  [['pub', 'a', 'b', 'c'], /^isthmus pub: unexpected 'c'; a message of several words is quoted .*$/],
  [['pub', 'a', '-5'], /^isthmus pub: unknown flag -5; a word that starts with a dash goes behind -- .*$/],
  [
    ['pub', '--type', 'jsn', 'a', 'b'],
    /^isthmus pub: --type: expected one of text, json, bytes, got 'jsn'; did you mean json\?$/,
  ],
  [['pub', '--type', 'json', 'a', '{'], /^isthmus pub: the message is not JSON: \{ .*$/],
  [['sub'], /^isthmus sub: PATTERN\.\.\. is missing .*$/],
  [['sub', '--policy', 'drop', 'x'], /^isthmus sub: --policy: expected one of block, .*$/],
  [['sub', '--count', '0', 'x'], /^isthmus sub: --count: expected an integer from 1 .*$/],
  [['call', '--url', 'nonsense', 'x'], /^isthmus call: option url: .*$/],
  [['call', '--config', 'absent.json', 'x'], /^isthmus call: --config absent\.json: no such file .*$/],
  [['shm', 'lst'], /^isthmus shm: 'lst' is none of list, inspect, clear; did you mean list\?$/],
  [['shm', 'list', 'x'], /^isthmus shm: unexpected 'x'; list takes no name .*$/],
  [['shm', 'list', '--group'], /^isthmus shm: --group is of inspect and clear, not of list .*$/],
  [['shm', 'inspect'], /^isthmus shm: inspect: NAME is missing .*$/],
  [['completion', 'bsh'], /^isthmus completion: 'bsh' is none of bash, zsh, fish; did you mean bash\?$/],
];

for (const [args, said] of WRONG) {
  test(`isthmus ${args.join(' ')} is refused in one line with exit code 2`, async (t) => {
    const { code, stdout, stderr } = await run(t, args);
    assert.equal(code, 2, stderr);
    assert.equal(stdout, '');
    assert.match(stderr.replace(/\n$/, ''), said);
  });
}

test('an invalid name is a usage fault, whether there is a server or not', async (t) => {
  const { at } = await startServer(t);
  const nobody = ['--path', join(temporaryFolder(t), 'nobody')];
  for (const place of [at, nobody]) {
    for (const [command, name, said] of [
      ['sub', 'a.>.b', /^isthmus sub: pattern "a\.>\.b": '>' is not the last token \(at 2\)\n$/],
      ['sub', '', /^isthmus sub: pattern "": it is empty \(at 0\)\n$/],
      ['pub', 'a\tb', /^isthmus pub: channel name .*U\+0009.*\n$/],
      ['call', 'x'.repeat(300), /^isthmus call: channel name .*longer than 255 bytes.*\n$/],
    ] as const) {
      const { code, stdout, stderr } = await run(t, [command, ...place, name, ...(command === 'pub' ? ['m'] : [])]);
      assert.deepEqual([code, stdout], [2, ''], stderr);
      assert.match(stderr, said);
    }
  }
});

test('with --json even a wrong flag is said as JSON', async (t) => {
  const { code, stderr } = await run(t, ['pub', '--json', '--prt', '1', 'a']);
  assert.equal(code, 2);
  const { level, event, message } = JSON.parse(stderr) as Record<string, unknown>;
  assert.deepEqual([level, event], ['error', 'usage']);
  assert.match(String(message), /--port/);
});

test('where nobody listens, one line says so and what to do', async (t) => {
  const path = join(temporaryFolder(t), 'nobody');
  for (const args of [
    ['pub', 'a', 'b'],
    ['sub', 'a'],
    ['call', 'a'],
  ]) {
    const { code, stdout, stderr } = await run(t, [...args, '--path', path]);
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(
      stderr,
      /^isthmus \w+: no server on unix:\S+; start one with '.* serve --path .*', or say where it is: .*\n$/,
    );
  }
  const { stderr } = await run(t, ['call', '--json', 'a', '--path', path]);
  assert.equal((JSON.parse(stderr) as { code: string }).code, 'NETWORK_CONNECT_FAILED');
});

test('words behind -- are no flags', async (t) => {
  const { at } = await startServer(t);
  assert.equal((await run(t, ['call', ...at, 'echo', '--', '--json'])).stdout, '--json\n');
});

test('a flag wins over the environment, that over the file, that over the default', async (t) => {
  const { path } = await startServer(t);
  const folder = temporaryFolder(t);
  const config = join(folder, 'isthmus.config.json');
  const here = { cwd: folder };
  writeFileSync(config, JSON.stringify({ path, timeout: 1000, maxConnections: 5 }));
  assert.equal((await run(t, ['call', 'echo', 'file'], here)).stdout, 'file\n');
  const environment = await run(t, ['call', 'echo', 'x'], { ...here, env: { IPC_PORT: '1' } });
  assert.match(environment.stderr, /no server on tcp:\/\/localhost:1;/);
  const flag = await run(t, ['call', '--path', path, 'echo', 'flag'], { ...here, env: { IPC_PORT: '1' } });
  assert.equal(flag.stdout, 'flag\n');
  writeFileSync(config, JSON.stringify({ port: 2, host: '127.0.0.1' }));
  const mixed = await run(t, ['call', 'echo', 'x'], { ...here, env: { IPC_PORT: '1' } });
  assert.match(mixed.stderr, /no server on tcp:\/\/127\.0\.0\.1:1;/);
});

test('a wrong variable or a wrong key of the file is named', async (t) => {
  const folder = temporaryFolder(t);
  const config = join(folder, 'other.json');
  const said = async (content: string): Promise<string> => {
    writeFileSync(config, content);
    const { code, stderr } = await run(t, ['call', '--config', config, 'x']);
    assert.equal(code, 2, stderr);
    assert.equal(stderr.trimEnd().split('\n').length, 1, stderr);
    return stderr;
  };
  assert.match(await said('{"prot": 1}'), /other\.json: unknown key 'prot'; did you mean 'port'\?/);
  assert.match(await said('{"port": "1"}'), /other\.json: port: expected an integer from 1 to 65535, got "1"/);
  assert.match(await said('{"host": 1}'), /other\.json: host: expected a text/);
  assert.match(await said('[]'), /other\.json: expected a JSON object/);
  assert.match(await said('{'), /other\.json: .*JSON/);
  const port = await run(t, ['serve'], { env: { IPC_PORT: 'http' } });
  assert.deepEqual([port.code, /IPC_PORT: expected an integer/.test(port.stderr)], [2, true]);
  const timeout = await run(t, ['call', 'x'], { env: { IPC_TIMEOUT: '-1' } });
  assert.deepEqual([timeout.code, /IPC_TIMEOUT: expected a number from 0/.test(timeout.stderr)], [2, true]);
});

test('--version prints the version of the package', async (t) => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  assert.deepEqual(await run(t, ['--version']), { code: 0, signal: null, stdout: `${version}\n`, stderr: '' });
});

test('help goes to stdout when asked for, and names every command and flag', async (t) => {
  const { code, stdout, stderr } = await run(t, ['--help']);
  assert.deepEqual([code, stderr], [0, '']);
  for (const name of COMMANDS) assert.match(stdout, new RegExp(`^  ${name} +\\w`, 'm'));
  const [long, short] = [await run(t, ['help', 'sub']), await run(t, ['sub', '-h'])];
  assert.equal(long.code, 0);
  assert.equal(long.stdout, short.stdout);
  for (const flag of [
    '--app',
    '--host',
    '--port',
    '--path',
    '--url',
    '--token',
    '--count',
    '--policy',
    '--json',
    '--config',
  ]) {
    assert.match(long.stdout, new RegExp(`^ +(?:-\\w, )?${flag} `, 'm'));
  }
});

test('without a command, help goes to stderr with exit code 2', async (t) => {
  const { code, stdout, stderr } = await run(t, []);
  assert.deepEqual([code, stdout], [2, '']);
  assert.match(stderr, /Usage:/);
});

test('no colours where nobody sees them', async (t) => {
  for (const args of [['--help'], ['call', '--help'], ['serv']]) {
    const { stdout, stderr } = await run(t, args);
    assert.ok(!`${stdout}${stderr}`.includes('\u001b'));
  }
});

/** What bash offers for the last of the words. */
async function bashOffers(script: string, words: readonly string[]): Promise<string[]> {
  const line = words.map((word) => `'${word}'`).join(' ');
  const program = `${script}\nCOMP_WORDS=(${line}); COMP_CWORD=${words.length - 1}; _isthmus; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout } = await promisify(execFile)('bash', ['-c', program]);
  return stdout.split('\n').filter((word) => word !== '');
}

test('bash completes commands, flags and values', async (t) => {
  const { code, stdout: script } = await run(t, ['completion', 'bash']);
  assert.equal(code, 0);
  assert.deepEqual(await bashOffers(script, ['isthmus', 's']), ['serve', 'sub', 'shm']);
  assert.deepEqual(await bashOffers(script, ['isthmus', 'serve', '--max']), ['--max-connections']);
  assert.deepEqual(await bashOffers(script, ['isthmus', 'sub', '--policy', 'drop']), ['drop-oldest', 'drop-newest']);
  assert.deepEqual(await bashOffers(script, ['isthmus', 'completion', '']), ['bash', 'zsh', 'fish']);
  assert.deepEqual(await bashOffers(script, ['isthmus', 'pipe', '']), ['listen', 'send']);
  assert.deepEqual(await bashOffers(script, ['isthmus', 'pipe', 'listen', '']), []);
  assert.deepEqual(await bashOffers(script, ['isthmus', 'pipe', 'listen', '--max']), ['--max-messages']);
  assert.deepEqual(await bashOffers(script, ['isthmus', 'help', 'c']), ['call', 'completion']);
});

test('the scripts for zsh and fish know every command and its flags', async (t) => {
  for (const shell of ['zsh', 'fish']) {
    const { code, stdout } = await run(t, ['completion', shell]);
    assert.equal(code, 0);
    for (const name of COMMANDS) assert.match(stdout, new RegExp(`\\b${name}\\b`));
    for (const flag of ['max-connections', 'policy', 'retain', 'timeout', 'die-code'])
      assert.match(stdout, new RegExp(flag));
  }
});
