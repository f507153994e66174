// @ts-check
export const adapter = {
  parties: [{ name: 'isthmus', variant: 'default' }],
  transports: [],
  works: {},
  version: async () => {
    throw new Error('dist is not built');
  },
};
