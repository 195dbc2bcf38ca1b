import { OperatingError } from '../base/errors.ts'
import { canonicalModel } from './catalogue.ts'
import { isMig, isOfAnyCard, migModel, migProfile } from './mig.ts'
import { cpuSlot, gpuResource, label } from './names.ts'

/** `count` may be a share of one device: 0.5 is 500 thousandths of it. */
export interface Accelerators {
  model: string
  count: number
  /** How fast a member works on it, 1 being the speed that the job's declared times are for; 1 when left out. */
  speed?: number
}
export type ReadAccelerators = { alternatives: Accelerators[] } | { problem: string; index?: number }

/** The accelerator that every local node offers: a slot that reserves no core. */
export const cpuModel = 'cpu'
/** Any GPU of whatever model: what `nvidia.com/gpu: 1` alone asks for. */
export const anyGpu = 'gpu'

/** The model of a node's counted GPUs, by its label. A label that says `cpu` speaks of its slots. */
export function gpuModelOf(labels: Readonly<Record<string, string>> | undefined): string {
  const named = labels?.[label.accelerator]
  return named === undefined || named === cpuModel ? anyGpu : named
}
/** Whether several models may be what is asked for: any GPU, or a slice of any card. */
export function isGeneric(asked: string): boolean {
  return asked === anyGpu || isOfAnyCard(asked)
}

/** Whether a device of the model is what is asked for. A slice of a card is not any GPU: who wants one says so. */
export function isMeant(asked: string, model: string): boolean {
  if (asked === model) return true
  if (asked === anyGpu) return model !== cpuModel && !isMig(model)
  return isOfAnyCard(asked) && model.endsWith(`-${asked}`)
}

/** Resources by which a node's accelerators are counted where they are not listed, and the model of each. */
export function countedModels(
  labels: Readonly<Record<string, string>> | undefined,
  allocatable: Readonly<Record<string, unknown>>,
): { resource: string; model: string }[] {
  const gpu = gpuModelOf(labels)
  const slices = Object.keys(allocatable).flatMap((resource) => {
    const profile = migProfile(resource)
    return profile === undefined ? [] : [{ resource, model: migModel(gpu === anyGpu ? undefined : gpu, profile) }]
  })
  return [{ resource: gpuResource, model: gpu }, { resource: cpuSlot, model: cpuModel }, ...slices]
}

/** What a template asks for that names no accelerator. */
export const oneSlot: Accelerators = { model: cpuModel, count: 1 }

/**
 * `H100:8`, `cpu:1`, `H100` (one), `H100:0.5` (a share); a list gives alternatives, best first. `A100:8@0.45` says how fast
 * the job is on it: then the fastest goes first, whatever the order of the list. Never throws.
 */
export function readAccelerators(value: string | readonly string[]): ReadAccelerators {
  const alternatives: Accelerators[] = []
  const texts = typeof value === 'string' ? [value] : value
  for (const [index, text] of texts.entries()) {
    const read = readOne(text)
    if (typeof read === 'string') return typeof value === 'string' ? { problem: read } : { problem: read, index }
    if (alternatives.some((other) => other.model === read.model)) {
      return { problem: `names ${read.model} a second time`, index }
    }
    alternatives.push(read)
  }
  if (alternatives.length === 0) return { problem: 'names no accelerator' }
  return { alternatives: alternatives.toSorted((a, b) => (b.speed ?? 1) - (a.speed ?? 1)) }
}

/** Throws on what admission would refuse. */
export function acceleratorsOf(value: string | readonly string[]): Accelerators[] {
  const read = readAccelerators(value)
  if ('alternatives' in read) return read.alternatives
  throw new OperatingError('invalid', 'give-up', `accelerators "${String(value).slice(0, 100)}": ${read.problem}`)
}

/** In thousandths of a device: the scheduler's unit. */
export function milliOfCount(count: number): number {
  return Math.round(count * 1000)
}

export function formatAccelerators(accelerators: Accelerators): string {
  const { model, count, speed } = accelerators
  return speed === undefined ? `${model}:${count}` : `${model}:${count}@${speed}`
}

export const acceleratorForms = 'MODEL:COUNT, e.g. H100:8, cpu:1 or H100:0.5'

function readOne(text: string): Accelerators | string {
  const match =
    /^([A-Za-z][A-Za-z0-9._-]{0,62})(?::([0-9]{1,6}(?:\.[0-9]{1,12})?|\.[0-9]{1,12}))?(?:@([0-9]{1,4}(?:\.[0-9]{1,6})?|\.[0-9]{1,6}))?$/.exec(
      text,
    )
  const written = match?.[1]
  if (written === undefined) return `is not an accelerator; write ${acceleratorForms}`
  const count = match?.[2] === undefined ? 1 : Number(match[2])
  if (count === 0) return 'asks for none; leave accelerators out for one cpu slot'
  if (count > countMax) return `asks for more than ${countMax} on one worker; use more workers`
  if (count > 1 && !Number.isInteger(count)) return 'asks for a share next to whole devices; a share is of one device'
  if (Math.abs(count * 1000 - milliOfCount(count)) > 1e-9) return 'asks for a share finer than a thousandth'
  const accelerators = { model: canonicalModel(written), count: milliOfCount(count) / 1000 }
  if (count < 1 && isMig(accelerators.model)) return 'asks for a share of a slice (MIG), which is given whole'
  if (match?.[3] === undefined) return accelerators
  const speed = Number(match[3])
  if (speed < speedMin || speed > speedMax)
    return `has a speed that is not from ${speedMin} to ${speedMax}; 1 is full speed`
  return { ...accelerators, speed }
}

/** As many times as fast or slow as what the job's times are declared for. */
const [speedMin, speedMax] = [0.001, 1000]

const countMax = 1024
