import { parse } from 'yaml';
import { z } from 'zod';

/** What a compose file of ours says of a service. */
export interface ComposedService {
  readonly replicas: number;
  readonly image: string;
}

const ComposeServices = z.looseObject({
  services: z.record(
    z.string(),
    z.looseObject({
      image: z.string().optional(),
      scale: z.int().optional(),
      extends: z.unknown().optional(),
    }),
  ),
});

/** By name. The number of replicas that the load asked for stands in the file too. */
export function composedServices(text: string): ReadonlyMap<string, ComposedService> {
  const { services } = ComposeServices.parse(parse(text));
  return new Map(
    Object.entries(services).flatMap(([name, { image = '', scale = 1, extends: base }]) =>
      // The two slots of a service that is rolled: its own entry counts.
      base === undefined ? [[name, { replicas: scale, image }]] : [],
    ),
  );
}
