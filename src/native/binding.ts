// The only door to the native addon. It is looked for when something that needs it is opened, never
// when a module is imported: everything else of the package works without it.

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ipcError } from '../base/errors.ts';
import type { PipeNative } from './pipe-native.ts';
import type { ShmNative } from './shm-native.ts';

/** What the addon exports: one object for each file of native/addon. */
export interface NativeBinding {
  readonly interfaceVersion: number;
  readonly pipe: PipeNative;
  /** Missing where the ring has no platform layer. */
  readonly shm?: ShmNative;
}

/** Raised together with `kInterfaceVersion` of native/addon/registration.cc, with every change of the interfaces. */
export const INTERFACE_VERSION = 6;

let loaded: NativeBinding | undefined;

/**
 * Gives the addon: the one that was built in this checkout, else the prebuilt one of this platform.
 * `ISTHMUS_ADDON` names another file, for those who build their own.
 *
 * @throws IPCError `SYSTEM_NO_ADDON` when there is none, or when it is of another version.
 */
export function loadBinding(): NativeBinding {
  loaded ??= load(addonCandidates());
  return loaded;
}

/** Where the addon may be, the best first. */
export function addonCandidates(): string[] {
  const named = process.env['ISTHMUS_ADDON'];
  if (named !== undefined && named !== '') return [named];
  const root = packageRoot();
  // What was packed once must not hide what was built since; an installed package has prebuilt ones alone.
  return [join(root, 'build', 'native', 'isthmus.node'), join(root, 'prebuilds', platformName(), 'isthmus.node')];
}

/** Loads the first candidate that exists. Apart from `loadBinding` so that it can be tested. */
export function load(candidates: readonly string[]): NativeBinding {
  const require = createRequire(import.meta.url);
  for (const path of candidates) {
    if (!existsSync(path)) continue;
    let found: unknown;
    try {
      found = require(path);
    } catch (cause) {
      throw ipcError('SYSTEM_NO_ADDON', `the native addon ${path} does not load`, { cause, details: { path } });
    }
    if (!isBinding(found)) {
      const version = versionOf(found);
      throw ipcError(
        'SYSTEM_NO_ADDON',
        `the native addon ${path} has interface version ${String(version)}, this package needs ${INTERFACE_VERSION}: install or build both again`,
        { details: { path, version, expected: INTERFACE_VERSION } },
      );
    }
    return found;
  }
  const named = process.env['ISTHMUS_ADDON'];
  if (named !== undefined && candidates[0] === named) {
    const message = `the native addon that ISTHMUS_ADDON names, ${named}, is not there`;
    throw ipcError('SYSTEM_NO_ADDON', message, { details: { path: named } });
  }
  throw ipcError(
    'SYSTEM_NO_ADDON',
    `there is no native addon for ${platformName()}, which shared memory and named pipes need; in a checkout, run "npm run build:native", elsewhere name one with ISTHMUS_ADDON`,
    {
      details: { platform: platformName(), looked: candidates },
    },
  );
}

function isBinding(value: unknown): value is NativeBinding {
  return versionOf(value) === INTERFACE_VERSION;
}

function versionOf(value: unknown): unknown {
  return typeof value === 'object' && value !== null && 'interfaceVersion' in value
    ? value.interfaceVersion
    : undefined;
}

/** The folder with our package.json: two levels up when installed, three when run from build/. */
function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) return process.cwd();
    folder = parent;
  }
  return folder;
}

function platformName(): string {
  return targetName(
    process.platform,
    process.arch,
    process.platform === 'linux' ? process.report?.getReport() : undefined,
  );
}

/**
 * The folder below prebuilds/ that such a machine takes its addon from; scripts/native-targets.mjs has the
 * same names. `report` is Node's diagnostic report, which says on Linux which C library it runs on.
 */
export function targetName(platform: string, arch: string, report: unknown): string {
  return `${platform}-${arch}${platform === 'linux' && isMusl(report) ? '-musl' : ''}`;
}

function isMusl(report: unknown): boolean {
  if (typeof report !== 'object' || report === null || !('header' in report)) return false;
  const { header } = report;
  return typeof header === 'object' && header !== null && !('glibcVersionRuntime' in header);
}
