import type { PodWork } from '../model/work.ts'
import type { PodPlace } from './contract.ts'

/** The only rank of the first attempt of a job. */
export function placeWith(work: Partial<PodWork>, more: Partial<PodPlace> = {}): PodPlace {
  const pod = { uid: 'u', namespace: 'default', name: 'p', node: 'n', rank: 0, worldSize: 1, attempt: 1 }
  return { ...pod, ...more, work: { checkpointRanks: 'first', ...work } }
}
