// @ts-check
// Names the machine: a figure without it means nothing.

import os from 'node:os';

export function machine() {
  const cpus = os.cpus();
  return {
    cpu: cpus[0]?.model.trim() ?? 'unknown',
    cores: cpus.length,
    memoryBytes: os.totalmem(),
    node: process.versions.node,
    v8: process.versions.v8,
    uv: process.versions.uv,
    kernel: `${os.type()} ${os.release()} ${os.arch()}`,
    loadAverage: os.loadavg(),
    at: new Date().toISOString(),
  };
}

/** @param {ReturnType<typeof machine>} of */
export function machineLine({ cpu, cores, memoryBytes, node, kernel, loadAverage }) {
  const load = loadAverage.map((value) => value.toFixed(1)).join(' ');
  const gigabytes = Math.round(memoryBytes / 1024 ** 3);
  return `${cpu}, ${cores} cores, ${gigabytes} GB, Node ${node}, ${kernel}; load at the start ${load}`;
}
