/**
 * The arms of the comparison. All of them see the same seeds, data, batch order and number of
 * steps; they differ only in what is named here.
 */

export interface Arm {
  readonly name: string;
  readonly description: string;
  readonly flags: (finalParameters: number) => readonly string[];
}

export const GROWING_ARMS: readonly Arm[] = [
  { name: "policy", description: "as shipped", flags: () => [] },
  {
    name: "random-timing",
    description: "germinates at random decisions, chooses as shipped",
    flags: () => ["--arm", "random-timing"],
  },
  {
    name: "random-blueprint",
    description: "timing as shipped, blueprint and site at random",
    flags: () => ["--arm", "random-blueprint"],
  },
  {
    name: "gates-off",
    description: "as shipped, but no gate stops a seed",
    flags: () => ["--arm", "gates-off"],
  },
];

/** Hidden width of a two-layer MLP whose parameter count is nearest to `parameters`. */
export function fixedWidth(inputs: number, outputs: number, parameters: number): number {
  const count = (width: number): number =>
    inputs * width + width + width * width + width + width * outputs + outputs;
  let width = 1;
  while (count(width + 1) <= parameters) width += 1;
  return width;
}

export function fixedArms(inputs: number, outputs: number): readonly Arm[] {
  return [
    {
      name: "host-only",
      description: "the same host without growth",
      flags: () => ["--no-growth"],
    },
    {
      name: "fixed-grown-size",
      description: "a fixed two-layer MLP of the policy's median final size, from scratch",
      flags: (finalParameters) => {
        const width = fixedWidth(inputs, outputs, finalParameters);
        return ["--no-growth", "--host", `mlp:${width},${width}`];
      },
    },
  ];
}
