// How Node connects to a host that has several addresses.

/**
 * For so many milliseconds an address is tried before the next. Node's own 250 are over before a busy machine has
 * looked whether it is connected: then it gives up the right address for one at which nobody listens.
 */
export const DIAL_OPTIONS = { autoSelectFamilyAttemptTimeout: 2500 } as const;
