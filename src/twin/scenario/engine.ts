import { z } from 'zod'
import { type EngineModel, engineModel, enginePresetDefault, isEnginePreset } from '../work/engine-model.ts'

const figure = z.number().min(0).max(1e9).optional()

/** A preset by name, or one with figures of one's own. */
export const engine = z.union([
  z.string().max(63),
  z.strictObject({
    preset: z.string().max(63).default(enginePresetDefault).describe('Where it is as here when nothing is said.'),
    prefillMs: figure.describe('A prefill, whatever its length.'),
    prefillTokenUs: figure.describe('A prefill, each token.'),
    prefillTokenSquaredNs: figure.describe('A prefill, times the square of its tokens.'),
    decodeMs: z.number().gt(0).max(1e9).optional().describe('A decode step, whatever is in it.'),
    decodeContextTokenNs: figure.describe('A decode step, each token of context.'),
    decodeSequenceUs: figure.describe('A decode step, each sequence in it.'),
    stepMs: figure.describe('What any step takes on top.'),
    stepSequenceUs: figure.describe('What any step takes on top, each sequence in it.'),
    apiMs: figure.describe('From when a request is received until the engine has it.'),
    kvTokens: z.number().int().min(2).max(1e9).optional().describe('Tokens that the KV cache holds.'),
    prefixTokens: figure.describe('Tokens of prompts that are kept for those that begin alike; 0: none.'),
    sequences: z.number().int().min(1).max(100_000).optional().describe('Sequences that decode at once, at most.'),
  }),
])

export type EngineSpec = z.output<typeof engine>

export function presetNamed(spec: EngineSpec): string {
  return typeof spec === 'string' ? spec : spec.preset
}

/** Throws on a preset that is not there. */
export function engineOf(spec: EngineSpec = enginePresetDefault): EngineModel {
  const name = presetNamed(spec)
  if (!isEnginePreset(name)) throw new RangeError(`no engine is called ${name}`)
  const preset = engineModel(name)
  if (typeof spec === 'string') return preset
  const { prefill, decode, overhead } = preset
  const over = (value: number | undefined, perMs: number, otherwise: number) =>
    value === undefined ? otherwise : value / perMs
  return {
    prefill: {
      ms: spec.prefillMs ?? prefill.ms,
      perTokenMs: over(spec.prefillTokenUs, 1e3, prefill.perTokenMs),
      perTokenSquaredMs: over(spec.prefillTokenSquaredNs, 1e6, prefill.perTokenSquaredMs),
    },
    decode: {
      ms: spec.decodeMs ?? decode.ms,
      perContextTokenMs: over(spec.decodeContextTokenNs, 1e6, decode.perContextTokenMs),
      perSequenceMs: over(spec.decodeSequenceUs, 1e3, decode.perSequenceMs),
    },
    overhead: {
      perStepMs: spec.stepMs ?? overhead.perStepMs,
      perSequenceMs: over(spec.stepSequenceUs, 1e3, overhead.perSequenceMs),
    },
    apiMs: spec.apiMs ?? preset.apiMs,
    kvTokens: spec.kvTokens ?? preset.kvTokens,
    sequencesMax: spec.sequences ?? preset.sequencesMax,
    prefixTokens: spec.prefixTokens ?? preset.prefixTokens,
  }
}
