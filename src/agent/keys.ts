import type { PodPlace } from './contract.ts'

/**
 * Where a rank stores its part of a checkpoint. Where ranks come and go one that was given up may still run, on a node that
 * nobody reaches, beside another of its number: what it writes goes elsewhere, and is never committed.
 */
export function checkpointKeyOf(place: PodPlace, step: number): string {
  const { work, rank, name } = place
  const part = work.checkpointRanks === 'any' ? name : `rank-${rank}`
  return `${work.checkpoints}/step-${step}/${part}/manifest.json`
}

/** And where its output, likewise; undefined where none is wanted. */
export function outputKeyOf({ work, name }: PodPlace): string | undefined {
  const { output, checkpointRanks } = work
  return checkpointRanks === 'any' ? output?.replace(/[^/]*$/, (file) => `${name}/${file}`) : output
}
