import { z } from 'zod'

/** Tokens that a request cost. `total_tokens` is always the sum of the other two. */
export const usage = z.looseObject({
  prompt_tokens: z.int().min(0),
  completion_tokens: z.int().min(0).default(0),
  total_tokens: z.int().min(0),
  prompt_tokens_details: z.looseObject({ cached_tokens: z.int().min(0).nullish() }).nullish(),
})
export type Usage = z.infer<typeof usage>

export type FinishReason = 'stop' | 'length'

const finishReason = z.string().nullable()

export const chatCompletion = z.looseObject({
  id: z.string(),
  object: z.literal('chat.completion'),
  created: z.int(),
  model: z.string(),
  choices: z.array(
    z.looseObject({
      index: z.int(),
      message: z.looseObject({ role: z.literal('assistant'), content: z.string().nullable() }),
      finish_reason: finishReason,
    }),
  ),
  usage: usage.optional(),
})
export type ChatCompletion = z.infer<typeof chatCompletion>

export const chatChunk = z.looseObject({
  id: z.string(),
  object: z.literal('chat.completion.chunk'),
  created: z.int(),
  model: z.string(),
  choices: z.array(
    z.looseObject({
      index: z.int(),
      delta: z.looseObject({ role: z.string().optional(), content: z.string().nullish() }),
      finish_reason: finishReason.optional(),
    }),
  ),
  usage: usage.nullish(),
})
export type ChatChunk = z.infer<typeof chatChunk>

/** Streamed and whole completions have one shape; in a stream, `text` is what is new. */
export const completion = z.looseObject({
  id: z.string(),
  object: z.literal('text_completion'),
  created: z.int(),
  model: z.string(),
  choices: z.array(z.looseObject({ index: z.int(), text: z.string(), finish_reason: finishReason.optional() })),
  usage: usage.nullish(),
})
export type Completion = z.infer<typeof completion>

export const embeddingList = z.looseObject({
  object: z.literal('list'),
  model: z.string(),
  data: z.array(
    z.looseObject({
      object: z.literal('embedding'),
      index: z.int(),
      /** Numbers, or little-endian 32-bit floats in base64. */
      embedding: z.union([z.array(z.number()), z.string()]),
    }),
  ),
  usage: usage.optional(),
})
export type EmbeddingList = z.infer<typeof embeddingList>

export const modelList = z.looseObject({
  object: z.literal('list'),
  data: z.array(z.looseObject({ id: z.string(), object: z.literal('model'), created: z.int(), owned_by: z.string() })),
})
export type ModelList = z.infer<typeof modelList>

export function usageOf(promptTokens: number, completionTokens: number, cachedTokens = 0): Usage {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  }
}
