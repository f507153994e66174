// Reads range and default out of the words that document an option: "…, 1 KiB to 2^31-1. Default 16 MiB."

const UNIT_BYTES: Readonly<Record<string, number>> = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };
const NUMBER = String.raw`(?:0o[0-7]+|2\^\d+(?: ?[-−] ?1)?|\d[\d,]*(?: [KMG]iB)?)`;

/** The value of `1,000`, `64 KiB`, `0o600`, `2^31` or `2^31-1`. */
export function documentedNumber(text: string): number {
  const power = /^2\^(\d+)( ?[-−] ?1)?$/.exec(text);
  if (power !== null) return 2 ** Number(power[1]) - (power[2] === undefined ? 0 : 1);
  if (text.startsWith('0o')) return Number(text);
  const [digits = '', unit] = text.split(' ');
  return Number(digits.replaceAll(',', '')) * (unit === undefined ? 1 : (UNIT_BYTES[unit] ?? Number.NaN));
}

/** Smallest and largest value; undefined where the text names none. */
export function documentedRange(meaning: string): { min: number; max: number } | undefined {
  const match = new RegExp(`(?<![\\d,^-])(${NUMBER}) to (${NUMBER})`).exec(meaning);
  if (match === null) return undefined;
  return { min: documentedNumber(match[1] ?? ''), max: documentedNumber(match[2] ?? '') };
}

/** The default as a number, true or false; undefined where the text names none of these. */
export function documentedDefault(meaning: string): number | boolean | undefined {
  const match = new RegExp(`[Dd]efault:? \`?(true|false|${NUMBER})\`?(?=[^\\d]|$)`).exec(meaning);
  if (match === null) return undefined;
  return match[1] === 'true' || match[1] === 'false' ? match[1] === 'true' : documentedNumber(match[1] ?? '');
}
