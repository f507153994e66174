import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { IPCError } from '../base/errors.ts';
import { addonCandidates, targetName, INTERFACE_VERSION, load, loadBinding } from './binding.ts';

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof IPCError, String(error));
    return error.code;
  }
  return 'nothing was thrown';
}

test('a missing addon is SYSTEM_NO_ADDON and says where it was looked for', () => {
  assert.throws(
    () => load(['/nowhere/isthmus.node']),
    (error: unknown) =>
      error instanceof IPCError && error.code === 'SYSTEM_NO_ADDON' && Array.isArray(error.details['looked']),
  );
});

test('a file that is no addon, and an addon of another version, are SYSTEM_NO_ADDON', () => {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-'));
  try {
    const broken = join(folder, 'broken.node');
    writeFileSync(broken, 'no machine code');
    assert.equal(
      codeOf(() => load([broken])),
      'SYSTEM_NO_ADDON',
    );
    const older = join(folder, 'older.cjs');
    writeFileSync(older, 'module.exports = { interfaceVersion: 1, pipe: {}, shm: {} };');
    assert.throws(
      () => load([older]),
      (error: unknown) =>
        error instanceof IPCError &&
        error.code === 'SYSTEM_NO_ADDON' &&
        /has interface version 1, this package needs \d+: /.test(error.message),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** Of the interfaces, without their comments. Whoever changes it raises INTERFACE_VERSION and kInterfaceVersion first. */
const FINGERPRINT = { version: 6, sha256: '4fcefcc6132f7885' };

test('the interface version is raised with every change of the interfaces', () => {
  const hash = createHash('sha256');
  for (const file of ['pipe-native.ts', 'shm-native.ts']) {
    const source = readFileSync(join(process.cwd(), 'src', 'native', file), 'utf8');
    hash.update(source.replaceAll(/\/\*[^]*?\*\/|\/\/.*/g, '').replaceAll(/\s+/g, ' '));
  }
  assert.deepEqual({ version: INTERFACE_VERSION, sha256: hash.digest('hex').slice(0, 16) }, FINGERPRINT);
});

test('the addon built in this checkout comes before the prebuilt one, which may be older', () => {
  const [first, second] = addonCandidates();
  assert.match(first ?? '', /build.native/);
  assert.match(second ?? '', /prebuilds/);
});

test('each system has prebuilt addons of its own, and musl others than glibc', () => {
  const glibc = { header: { glibcVersionRuntime: '2.36' } };
  const musl = { header: {} };
  assert.equal(targetName('linux', 'x64', glibc), 'linux-x64');
  assert.equal(targetName('linux', 'arm64', musl), 'linux-arm64-musl');
  assert.equal(targetName('linux', 'x64', undefined), 'linux-x64');
  assert.equal(targetName('darwin', 'arm64', musl), 'darwin-arm64');
  assert.equal(targetName('win32', 'x64', musl), 'win32-x64');
});

test('the addon makes a FIFO, and gives the negative errno when it cannot', {
  skip: process.platform === 'win32',
}, () => {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-'));
  try {
    const path = join(folder, 'fifo');
    assert.equal(loadBinding().pipe.mkfifo(path, 0o600), 0);
    assert.ok(statSync(path).isFIFO());
    assert.equal(loadBinding().pipe.mkfifo(path, 0o600), -17);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the build script needs no compiler when nothing asks for one, and fails with one line when it must', () => {
  const script = join(process.cwd(), 'scripts', 'build-native.mjs');
  const env = { ...process.env, PATH: '/nowhere', CXX: '' };
  const lenient = spawnSync(process.execPath, [script], { env, encoding: 'utf8' });
  assert.equal(lenient.status, 0);
  assert.match(lenient.stderr, /^warning: no C\+\+ compiler found[^\n]*\n$/);
  const strict = spawnSync(process.execPath, [script, '--require'], { env, encoding: 'utf8' });
  assert.equal(strict.status, 1);
  assert.match(strict.stderr, /^build-native: no C\+\+ compiler found[^\n]*\n$/);
});
