/**
 * How a serving engine of one replica performs: a linear model of its prefill and decode steps. Times in milliseconds;
 * tokens of context are those in the KV cache.
 */
export interface EngineModel {
  /** Prefill of n tokens: `ms + perTokenMs·n + perTokenSquaredMs·n²`. */
  prefill: { ms: number; perTokenMs: number; perTokenSquaredMs: number }
  /** A decode step of B sequences with KV tokens of context: `ms + perContextTokenMs·KV + perSequenceMs·B`. */
  decode: { ms: number; perContextTokenMs: number; perSequenceMs: number }
  /** What any step takes on top, and each sequence in it: launches, sampling, scheduling. */
  overhead: { perStepMs: number; perSequenceMs: number }
  /** From when a request is received until the engine has it: HTTP and tokeniser. */
  apiMs: number
  /** Tokens that the KV cache holds. */
  kvTokens: number
  /** Sequences that decode at once, at most. */
  sequencesMax: number
  /** Tokens of prompts that are kept for those that begin alike, beside those of who is in; 0: none. */
  prefixTokens: number
}

/** Tokens of a block of a prompt that is kept or not: as in Mooncake's traces (FAST 2025). */
export const blockTokens = 512

/** `cached`: tokens at its beginning that are there already; those after them still look at them. */
export function prefillMs({ prefill, decode, overhead }: EngineModel, tokens: number, cached = 0): number {
  const { ms, perTokenMs, perTokenSquaredMs } = prefill
  const computed = tokens - cached
  // However short the prompt, a step reads all weights once, as a decode step does.
  const kernelsMs = Math.max(decode.ms, ms + (perTokenMs + perTokenSquaredMs * (tokens + cached)) * computed)
  return kernelsMs + overhead.perStepMs + overhead.perSequenceMs
}

/** So many decode steps on end: each adds a token of context for each sequence. */
export function decodeMs(model: EngineModel, sequences: number, contextTokens: number, steps: number): number {
  const { perContextTokenMs } = model.decode
  const firstMs = stepMs(model, sequences) + perContextTokenMs * contextTokens
  return steps * (firstMs + perContextTokenMs * sequences * ((steps - 1) / 2))
}

/** The fewest decode steps that take `ms` or longer: the inverse of `decodeMs`. */
export function stepsTaking(model: EngineModel, sequences: number, contextTokens: number, ms: number): number {
  if (ms <= 0) return 0
  const { perContextTokenMs } = model.decode
  const square = (perContextTokenMs * sequences) / 2
  const line = stepMs(model, sequences) + perContextTokenMs * contextTokens - square
  let steps = Math.max(0, Math.floor((2 * ms) / (line + Math.sqrt(line * line + 4 * square * ms))) - 1)
  while (decodeMs(model, sequences, contextTokens, steps) < ms) steps++
  return steps
}

function stepMs({ decode, overhead }: EngineModel, sequences: number): number {
  return decode.ms + overhead.perStepMs + (decode.perSequenceMs + overhead.perSequenceMs) * sequences
}

/** Fitted to runs of vLLM by BLIS: per layer and step, per step, per sequence in a step, per request. */
const blis = { perLayerMs: 0.032, perStepMs: 0.126, perSequenceMs: 0.0044, apiMs: 15.6 }
/** vLLM's own `max_num_seqs`. */
const sequencesMax = 256

interface Fit {
  layers: number
  /** ms, µs a token, ns a token squared. */
  prefill: readonly [ms: number, us: number, ns: number]
  /** ms, ns a token of context, µs a sequence. */
  decode: readonly [ms: number, ns: number, us: number]
  kvTokens: number
}

function engineOf({ layers, prefill, decode, kvTokens }: Fit): EngineModel {
  return {
    prefill: { ms: prefill[0], perTokenMs: prefill[1] / 1e3, perTokenSquaredMs: prefill[2] / 1e6 },
    decode: { ms: decode[0], perContextTokenMs: decode[1] / 1e6, perSequenceMs: decode[2] / 1e3 },
    overhead: { perStepMs: blis.perStepMs + blis.perLayerMs * layers, perSequenceMs: blis.perSequenceMs },
    apiMs: blis.apiMs,
    kvTokens,
    sequencesMax,
    prefixTokens: 0,
  }
}

/**
 * Models on GPUs, fitted to kernels of vLLM 0.19 that AIConfigurator measured (bf16, Llama 3 of 8B and 70B); those on A100 to
 * long prompts alone. The KV cache is what 90 % of the memory leave, computed. Kernels of the H200's prefill attention are
 * the H100's, whose compute is the same.
 */
const presets = {
  '8b-h100': { layers: 32, prefill: [0.5, 18.5, 0.355], decode: [5.88, 43.3, 7.3], kvTokens: 437_000 },
  '8b-a100': { layers: 32, prefill: [0, 52.9, 1.5], decode: [10.56, 79.7, 24.5], kvTokens: 437_000 },
  '70b-h100-tp4': { layers: 80, prefill: [0.5, 57.5, 0.44], decode: [14.56, 28.9, 24.8], kvTokens: 464_000 },
  '70b-h100-tp8': { layers: 80, prefill: [5.25, 33.4, 0.24], decode: [9.03, 14.1, 19.2], kvTokens: 1_360_000 },
  '70b-a100-tp4': { layers: 80, prefill: [20, 142, 1.8], decode: [27, 56.6, 87.4], kvTokens: 464_000 },
  '70b-a100-tp8': { layers: 80, prefill: [36, 82, 0.9], decode: [16.7, 26.5, 59.8], kvTokens: 1_360_000 },
  'qwen3-32b-h200-tp2': { layers: 64, prefill: [0.25, 48.4, 0.71], decode: [10.25, 32.4, 16.6], kvTokens: 687_000 },
} as const satisfies Record<string, Fit>

export type EnginePreset = keyof typeof presets

export const enginePresetDefault: EnginePreset = '8b-h100'

export function isEnginePreset(name: string): name is EnginePreset {
  return Object.hasOwn(presets, name)
}

export const enginePresets: readonly string[] = Object.keys(presets)

export function engineModel(preset: EnginePreset): EngineModel {
  return engineOf(presets[preset])
}
