// Who may open a channel. What another user may not is tried by a child that gives up its rights, which only
// root can; elsewhere those tests do not exist.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  rmdirSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { type TestContext, test } from 'node:test';
import { loadBinding } from '../../src/native/binding.ts';
import { ChannelType, clearChannelStorage, ConnMode, inspect, IPCChannel, list } from '../../src/shm/index.ts';
import { uniqueName } from './processes.ts';

const linuxOnly = { skip: process.platform !== 'linux' };
const isRoot = process.getuid?.() === 0;
const ENTRY = new URL('../../src/shm/index.js', import.meta.url).href;
const NOBODY = 65_534;

/** Runs a program as another user; it gives what it wrote. The addon is loaded while it may still read it. */
function runAs(uid: number, gid: number, program: string): string {
  const source = `
    import fs from 'node:fs';
    import { ChannelType, ConnMode, IPCChannel, inspect, list } from ${JSON.stringify(ENTRY)};
    list();
    process.setgroups([]);
    process.setgid(${gid});
    process.setuid(${uid});
    const codeOf = (action) => { try { action(); return 'ok'; } catch (error) { return error.code; } };
    ${program}
  `;
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', source], { encoding: 'utf8' });
  assert.equal(run.status, 0, run.stderr);
  return run.stdout.trim();
}

function open(t: TestContext, name: string, group = false): IPCChannel {
  const channel = new IPCChannel(ChannelType.CHANNEL, name, ConnMode.BOTH, { group });
  t.after(() => channel.close());
  return channel;
}

const privateFile = (name: string): string => `/dev/shm/isthmus-u${process.getuid?.()}-${name}`;
const groupFile = (name: string): string => `/dev/shm/isthmus-g${process.getgid?.()}-${name}`;

test(
  'whatever the umask, a channel is for its user alone, and for its group where that is asked for',
  linuxOnly,
  (t) => {
    for (const umask of [0o000, 0o077, 0o777]) {
      const before = process.umask(umask);
      try {
        const [alone, shared] = [uniqueName('mode'), uniqueName('mode')];
        open(t, alone);
        open(t, shared, true);
        assert.equal(statSync(privateFile(alone)).mode & 0o7777, 0o600);
        assert.equal(statSync(groupFile(shared)).mode & 0o7777, 0o660);
      } finally {
        process.umask(before);
      }
    }
  },
);

test('a channel and a group channel of one name are two', linuxOnly, (t) => {
  const name = uniqueName('two');
  const [alone, shared] = [open(t, name), open(t, name, true)];
  assert.ok(shared.trySend('to the group'));
  assert.equal(alone.getReceiverCount(), 1);
  assert.equal(inspect(name)?.messages, 0);
  assert.equal(inspect(name, { group: true })?.messages, 1);
  assert.deepEqual(
    list()
      .filter((entry) => entry.name === name)
      .map((entry) => entry.group)
      .sort(),
    [false, true],
  );
  assert.equal(clearChannelStorage(name, { group: true }), true);
  assert.equal(clearChannelStorage(name, { group: true }), false);
});

test('what stands in the place of a channel and is none is refused, and not followed', linuxOnly, (t) => {
  const name = uniqueName('place');
  const file = privateFile(name);
  const target = `/dev/shm/${uniqueName('target')}`;
  const refuses = (): void => {
    assert.throws(() => new IPCChannel(ChannelType.CHANNEL, name), { code: 'SYSTEM_SHM_FOREIGN' });
  };
  symlinkSync(target, file);
  refuses();
  assert.equal(existsSync(target), false);
  writeFileSync(target, 'precious', { mode: 0o600 });
  t.after(() => unlinkSync(target));
  refuses();
  assert.equal(readFileSync(target, 'utf8'), 'precious');
  unlinkSync(file);
  mkdirSync(file, { mode: 0o700 });
  refuses();
  rmdirSync(file);
  assert.equal(loadBinding().pipe.mkfifo(file, 0o600), 0);
  refuses();
  unlinkSync(file);
});

test('a file that is cut short under its users ends them with SIGBUS: who may open it may do that', linuxOnly, () => {
  const name = uniqueName('cut');
  const program = `
    import fs from 'node:fs';
    import { ChannelType, IPCChannel } from ${JSON.stringify(ENTRY)};
    const channel = new IPCChannel(ChannelType.CHANNEL, ${JSON.stringify(name)});
    fs.truncateSync(${JSON.stringify(privateFile(name))}, 0);
    channel.trySend('x');
  `;
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
  assert.equal(run.signal, 'SIGBUS', run.stderr);
  // The next who opens or lists finds nobody in it.
  assert.ok(!list().some((entry) => entry.name === name));
  assert.equal(existsSync(privateFile(name)), false);
});

if (isRoot) {
  test('another user gets neither at a channel nor into it by its name', linuxOnly, (t) => {
    const name = uniqueName('other');
    const channel = open(t, name);
    const said = runAs(
      NOBODY,
      NOBODY,
      `const own = new IPCChannel(ChannelType.CHANNEL, ${JSON.stringify(name)});
       own.trySend('from somebody else');
       console.log(own.getReceiverCount(), codeOf(() => fs.openSync(${JSON.stringify(privateFile(name))}, 'r')),
         codeOf(() => fs.unlinkSync(${JSON.stringify(privateFile(name))})));`,
    );
    assert.equal(said, '1 EACCES EPERM');
    assert.equal(channel.tryReceive(), null);
  });

  test('a file that another user put in the place of a channel is refused, whatever its mode', linuxOnly, (t) => {
    for (const mode of [0o600, 0o666]) {
      const name = uniqueName('planted');
      const file = privateFile(name);
      runAs(
        NOBODY,
        NOBODY,
        `fs.writeFileSync(${JSON.stringify(file)}, Buffer.alloc(2e5)); fs.chmodSync(${JSON.stringify(file)}, ${mode});`,
      );
      t.after(() => unlinkSync(file));
      assert.throws(() => new IPCChannel(ChannelType.CHANNEL, name), { code: 'SYSTEM_SHM_FOREIGN' });
    }
  });

  test('a member of the group takes part in a group channel; of another group, it does not', linuxOnly, (t) => {
    const name = uniqueName('group');
    const channel = open(t, name, true);
    const joining = `
      const channel = new IPCChannel(ChannelType.CHANNEL, ${JSON.stringify(name)}, ConnMode.BOTH, { group: true });
      channel.trySend('from a member');
      console.log(channel.getReceiverCount(), codeOf(() => fs.openSync(${JSON.stringify(groupFile(name))}, 'r')));`;
    assert.equal(runAs(NOBODY, process.getgid?.() ?? 0, joining), '2 ok');
    assert.equal(channel.tryReceive()?.toString(), 'from a member');
    assert.equal(runAs(NOBODY, NOBODY, joining), '1 EACCES');
    assert.equal(channel.tryReceive(), null);
  });

  test('a file of another group in the place of a group channel is refused', linuxOnly, (t) => {
    const name = uniqueName('planted');
    const file = groupFile(name);
    runAs(NOBODY, NOBODY, `fs.writeFileSync(${JSON.stringify(file)}, Buffer.alloc(2e5), { mode: 0o660 });`);
    t.after(() => unlinkSync(file));
    assert.throws(() => new IPCChannel(ChannelType.CHANNEL, name, ConnMode.BOTH, { group: true }), {
      code: 'SYSTEM_SHM_FOREIGN',
    });
  });

  test('what its killed maker left of a group channel serves a member, who may not remove it', linuxOnly, () => {
    const name = uniqueName('heirs');
    const opening = `new IPCChannel(ChannelType.CHANNEL, ${JSON.stringify(name)}, ConnMode.BOTH, { group: true, echo: true })`;
    const maker = `import { ChannelType, ConnMode, IPCChannel } from ${JSON.stringify(ENTRY)};
      ${opening}.trySend('left'); process.kill(process.pid, 'SIGKILL');`;
    assert.equal(spawnSync(process.execPath, ['--input-type=module', '-e', maker]).signal, 'SIGKILL');
    const said = runAs(
      NOBODY,
      process.getgid?.() ?? 0,
      `const channel = ${opening};
       channel.trySend('mine'); console.log(channel.getReceiverCount(), String(channel.tryReceive()));`,
    );
    assert.equal(said, '1 mine');
    list();
    assert.equal(existsSync(groupFile(name)), false);
  });
}
