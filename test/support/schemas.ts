// The smallest validators that follow Standard Schema, so that the tests need no library of them.

import type { StandardSchemaV1 } from '@standard-schema/spec';

function schema<I, O>(
  read: (value: unknown) => { readonly value: O } | { readonly problem: string },
): StandardSchemaV1<I, O> {
  return {
    '~standard': {
      version: 1,
      vendor: 'isthmus-tests',
      validate(value) {
        const result = read(value);
        return 'value' in result ? result : { issues: [{ message: result.problem }] };
      },
    },
  };
}

export const number = schema<number, number>((value) =>
  typeof value === 'number' ? { value } : { problem: 'expected a number' },
);

export const text = schema<string, string>((value) =>
  typeof value === 'string' ? { value } : { problem: 'expected a text' },
);

export const numbers = schema<number[], number[]>((value) =>
  Array.isArray(value) && value.every((one) => typeof one === 'number') ? { value } : { problem: 'expected numbers' },
);

/** Travels as text and arrives as a date. */
export const date = schema<string, Date>((value) => {
  const read = new Date(typeof value === 'string' ? value : Number.NaN);
  return Number.isNaN(read.getTime()) ? { problem: 'expected a date' } : { value: read };
});

/** One that cannot be used: it does not answer at once. */
export const later: StandardSchemaV1<number> = {
  '~standard': {
    version: 1,
    vendor: 'isthmus-tests',
    validate: (value) => Promise.resolve({ value: value as number }),
  },
};
