// What happens when a subscriber's outbox is full. docs/protocol.md, "Credit".

export const OUTBOX_POLICIES = ['block', 'drop-oldest', 'drop-newest', 'latest-only', 'disconnect'] as const;

/** What happens when a subscriber is too slow and its outbox is full. */
export type OutboxPolicy = (typeof OUTBOX_POLICIES)[number];
