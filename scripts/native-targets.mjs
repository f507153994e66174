// The systems that the addon is built for, and which compiler of this machine builds for each: the machine's
// own, a cross-compiler, or zig, which builds for all. A compiler that is missing is named, never fetched.

import { spawnSync } from 'node:child_process';

/**
 * @typedef {object} Target
 * @property {NodeJS.Platform} platform
 * @property {string} zig               its name for zig, with the oldest C library that Node 20 runs on
 * @property {readonly string[]} cross   compilers that build for it and nothing else
 * @property {readonly string[]} runner  what runs its programs on another system
 */

/** As the loader names them (src/native/binding.ts). @type {Readonly<Record<string, Target>>} */
export const TARGETS = {
  'linux-x64': { platform: 'linux', zig: 'x86_64-linux-gnu.2.28', cross: [], runner: [] },
  'linux-arm64': {
    platform: 'linux',
    zig: 'aarch64-linux-gnu.2.28',
    cross: ['aarch64-linux-gnu-g++'],
    runner: ['qemu-aarch64-static'],
  },
  'linux-x64-musl': { platform: 'linux', zig: 'x86_64-linux-musl', cross: [], runner: [] },
  'linux-arm64-musl': { platform: 'linux', zig: 'aarch64-linux-musl', cross: [], runner: ['qemu-aarch64-static'] },
  'darwin-x64': { platform: 'darwin', zig: 'x86_64-macos.11.0-none', cross: [], runner: [] },
  'darwin-arm64': { platform: 'darwin', zig: 'aarch64-macos.11.0-none', cross: [], runner: [] },
  'win32-x64': {
    platform: 'win32',
    zig: 'x86_64-windows-gnu',
    // The one whose threads are the C++ library's, where both are installed.
    cross: ['x86_64-w64-mingw32-g++-posix', 'x86_64-w64-mingw32-g++'],
    runner: ['wine'],
  },
  'win32-arm64': {
    platform: 'win32',
    zig: 'aarch64-windows-gnu',
    cross: ['aarch64-w64-mingw32-g++-posix', 'aarch64-w64-mingw32-g++'],
    runner: [],
  },
};

/**
 * A compiler for one target.
 * @typedef {object} Toolchain
 * @property {string} target
 * @property {NodeJS.Platform} platform
 * @property {readonly string[]} command
 * @property {boolean} isZig
 */

const works = (/** @type {readonly string[]} */ [program = '', ...args]) =>
  spawnSync(program, [...args], { stdio: 'ignore' }).status === 0;

/** zig as a command: `ZIG`, `zig`, or the Python package of it. */
function findZig() {
  const candidates = [process.env['ZIG']?.split(' ') ?? [], ['zig'], ['python3', '-m', 'ziglang']];
  return candidates.find(([program, ...rest]) => program && works([program, ...rest, 'version']));
}

function isMusl() {
  if (process.platform !== 'linux') return false;
  const report = /** @type {{ header: { glibcVersionRuntime?: string } }} */ (process.report.getReport());
  return report.header.glibcVersionRuntime === undefined;
}

/** The name of the target that this machine is. */
export function hostTarget() {
  return `${process.platform}-${process.arch}${isMusl() ? '-musl' : ''}`;
}

/**
 * The compiler for this machine: of `CXX`, or the first of the usual names.
 * @returns {Toolchain | undefined}
 */
export function hostToolchain() {
  const found = [process.env['CXX'], 'c++', 'g++', 'clang++'].find((name) => name && works([name, '--version']));
  if (!found) return undefined;
  return { target: hostTarget(), platform: process.platform, command: [found], isZig: false };
}

/**
 * A compiler for the target, or undefined where there is none.
 * @param {string} target a key of TARGETS
 * @returns {Toolchain | undefined}
 */
export function toolchainFor(target) {
  const entry = TARGETS[target];
  if (!entry) throw new Error(`no target is called '${target}'; there are: ${Object.keys(TARGETS).join(', ')}`);
  const { platform } = entry;
  for (const name of entry.cross) {
    if (!works([name, '--version'])) continue;
    return { target, platform, command: [name], isZig: false };
  }
  const zig = findZig();
  if (!zig) return undefined;
  return {
    target,
    platform,
    command: [...zig, 'c++', '-target', entry.zig],
    isZig: true,
  };
}

/** What is needed to compile any of our C++ for the system, whatever becomes of it. */
export function systemFlags(/** @type {Toolchain} */ { platform }) {
  return platform === 'win32' ? [] : ['-fPIC', '-pthread'];
}

/** What our C++ needs of the system's libraries. */
export function systemLibraries(/** @type {Toolchain} */ { platform }) {
  return platform === 'win32' ? ['-lshell32', '-lole32', '-ladvapi32', '-luuid'] : ['-pthread'];
}

/** What only the addon is compiled with, beside that. On Windows see native/addon/windows-host.cc. */
export function addonFlags(/** @type {Toolchain} */ { platform }) {
  return platform === 'win32' ? ['-DNAPI_EXTERN=__declspec(dllimport)'] : [];
}

/**
 * How an addon is linked, but for its objects.
 * @param {Toolchain} toolchain
 * @param {boolean} stripped
 */
export function addonLinkFlags(toolchain, stripped) {
  const strip = stripped ? ['-s'] : [];
  if (toolchain.platform === 'win32') {
    // zig leaves nothing of its own outside, and would make an archive of what is told to be static.
    return ['-shared', ...(toolchain.isZig ? [] : ['-static']), ...strip, ...systemLibraries(toolchain)];
  }
  if (toolchain.platform === 'darwin') {
    // A library bears a name, which would be the path it was built at; a bundle, which zig cannot make, bears none.
    const kind = toolchain.isZig ? ['-shared', '-Wl,-install_name,@rpath/isthmus.node'] : ['-bundle'];
    return [...kind, '-undefined', 'dynamic_lookup', ...strip];
  }
  const own = toolchain.isZig ? [] : ['-static-libgcc', '-static-libstdc++'];
  return ['-shared', ...own, ...strip, ...systemLibraries(toolchain)];
}
