// What the server itself answers on the channel `system`: the actions that the original documents, and who
// is present. A handler that a user sets on that channel takes its place.

import { ipcError } from '../base/errors.ts';
import type { ServerMessage } from './model.ts';

export const SYSTEM_CHANNEL = 'system';

export function systemHandler(request: ServerMessage): unknown {
  const { payload } = request;
  const fields = typeof payload === 'object' && payload !== null ? (payload as Record<string, unknown>) : {};
  const { application } = request.connection;
  switch (fields['action']) {
    case 'ping':
      return { status: 'pong' };
    case 'get_time':
      return { status: 'ok', time: request.timestamp };
    case 'list_services':
      return {
        status: 'ok',
        services: Object.keys(application.listChannels()).filter((name) => !name.startsWith('$')),
      };
    case 'presence': {
      const channel = fields['channel'];
      const members = application.presence.members(typeof channel === 'string' ? channel : undefined);
      return { status: 'ok', members };
    }
    default:
      throw ipcError('REMOTE_NO_HANDLER', `the system channel knows no action ${String(fields['action'])}`, {
        details: { actions: ['ping', 'get_time', 'list_services', 'presence'] },
      });
  }
}
