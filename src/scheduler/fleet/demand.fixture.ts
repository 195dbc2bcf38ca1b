import type { Demand } from './rooms.ts'

/** One whole accelerator of the model and nothing else, unless said otherwise. */
export function demandFor(model: string, more: Partial<Demand> = {}): Demand {
  return {
    key: '',
    model,
    whole: 1,
    milli: 0,
    cpuMilli: 0,
    memoryBytes: 0,
    ports: 0,
    pods: 1,
    nodeSelector: {},
    tolerations: [],
    terms: undefined,
    ...more,
  }
}
