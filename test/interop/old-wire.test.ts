// The old protocol against our server byte by byte, without Python: what its two writes for a frame make possible.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { IPCServer } from '../../src/server/index.ts';
import { framed, HELLO, OldWire } from './old-wire.ts';

test('a first frame cut anywhere, as between its length and its body, is accepted, and others are served meanwhile', async (t) => {
  const server = new IPCServer({ host: '127.0.0.1', port: 0 });
  await server.start();
  t.after(() => server.stop());
  const frame = framed(HELLO);
  for (let cut = 1; cut < frame.length; cut += cut < 8 ? 1 : 40) {
    const wire = await OldWire.connect(server.port);
    wire.socket.write(frame.subarray(0, cut));
    // Another client comes and goes before the rest: by then the server has seen the first part alone.
    const other = await OldWire.join(server.port, 'app', 'other');
    other.close();
    await once(server, 'disconnection');
    wire.socket.write(frame.subarray(cut));
    assert.deepEqual((await wire.next())['payload'], { status: 'connected', connection_id: 'raw' }, `cut at ${cut}`);
    wire.close();
    await once(server, 'disconnection');
  }
});
