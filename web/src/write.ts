/** Numbers as the page writes them everywhere. */

import { format } from "d3-format";

const three = format(".3~g");
const comma = format(",d");

const RAISED: Readonly<Record<string, string>> = {
  "-": "⁻", "0": "⁰", "1": "¹", "2": "²", "3": "³", "4": "⁴", "5": "⁵", "6": "⁶", "7": "⁷", "8": "⁸", "9": "⁹",
};

/** A number to three digits, a dash for none. */
export function digits(value: number): string {
  if (Number.isNaN(value)) return "—";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e6)) return value.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e");
  return (size >= 1000 ? comma(Math.round(value)) : three(value)).replace("−", "-");
}

/** A count in full. */
export function count(value: number): string {
  return comma(value);
}

/** A share in percent, to a tenth. */
export function percent(share: number): string {
  return Number.isNaN(share) ? "—" : `${(100 * share).toFixed(1).replace(/\.0$/, "")} %`;
}

/** Writes ticks of a logarithmic axis: powers of ten as such where all are. */
export function ofTicks(ticks: readonly number[]): (value: number) => string {
  return ticks.every((tick) => Math.abs(Math.log10(tick) % 1) < 1e-9) && ticks.length > 1 ? power : digits;
}

/** A power of ten, or a number in full where that is as short. */
export function power(value: number): string {
  const exponent = Math.log10(value);
  const whole = Math.round(exponent);
  if (Math.abs(exponent - whole) > 1e-9 || (whole >= 0 && whole <= 2)) return digits(value);
  return `10${[...String(whole)].map((letter) => RAISED[letter] ?? letter).join("")}`;
}
