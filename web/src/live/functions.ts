/** Activations with their slopes, as torch has them. */

export interface Activation {
  readonly name: string;
  readonly value: (z: number) => number;
  readonly slope: (z: number) => number;
}

const sigmoid = (z: number): number => 1 / (1 + Math.exp(-z));
const density = (z: number): number => Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);

/** The chance that a standard normal number is below z, to 1e-7 (Abramowitz & Stegun 26.2.17). */
function below(z: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(z));
  const tail = density(z) * t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return z > 0 ? 1 - tail : tail;
}

export const SIGMOID: Activation = { name: "sigmoid", value: sigmoid, slope: (z) => sigmoid(z) * (1 - sigmoid(z)) };
export const TANH: Activation = { name: "tanh", value: Math.tanh, slope: (z) => 1 - Math.tanh(z) ** 2 };
export const RELU: Activation = { name: "ReLU", value: (z) => Math.max(0, z), slope: (z) => (z > 0 ? 1 : 0) };
const SWISH: Activation = {
  name: "Swish", value: (z) => z * sigmoid(z), slope: (z) => sigmoid(z) * (1 + z * (1 - sigmoid(z))),
};
const GELU: Activation = { name: "GELU", value: (z) => z * below(z), slope: (z) => below(z) + z * density(z) };
const COSINE: Activation = { name: "cosine", value: Math.cos, slope: (z) => -Math.sin(z) };

export const ACTIVATIONS: readonly Activation[] = [SIGMOID, TANH, RELU, SWISH, GELU, COSINE];
