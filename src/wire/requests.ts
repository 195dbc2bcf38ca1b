import { z } from 'zod'
import { badRequest, WireFailure } from './errors.ts'
import { wrongIn } from './sentences.ts'

/**
 * Requests are read loosely: a field that we don't know is kept, because clients send many and newer ones appear.
 * What is read here has bounds. `null` counts as left out, as in OpenAI's own service.
 */
const outputTokensMax = 1_048_576
const stopSequencesMax = 16
const embeddingInputsMax = 2048

const optional = <T extends z.ZodType>(type: T) => type.nullish().transform((value) => value ?? undefined)
const modelName = z.string().min(1).max(512)
const outputTokens = optional(z.int().min(1).max(outputTokensMax))
const penalty = optional(z.number().min(-2).max(2))
const tokenId = z.int().min(0).max(0x7fffffff)
const stopSequence = z.string().min(1).max(1024)

const sampling = {
  model: modelName,
  stream: optional(z.boolean()),
  stream_options: optional(z.looseObject({ include_usage: optional(z.boolean()) })),
  max_tokens: outputTokens,
  temperature: optional(z.number().min(0).max(2)),
  top_p: optional(z.number().min(0).max(1)),
  /** Not OpenAI's, but every open engine has it; 0 and -1 mean all tokens. */
  top_k: optional(z.int().min(-1).max(1_000_000)),
  seed: optional(z.int()),
  stop: optional(z.union([stopSequence, z.array(stopSequence).max(stopSequencesMax)])),
  n: optional(z.int().min(1).max(128)),
  presence_penalty: penalty,
  frequency_penalty: penalty,
  /** vLLM's: go on past the end-of-text token, so that a load test gets outputs of a known length. */
  ignore_eos: optional(z.boolean()),
  user: optional(z.string()),
}

const contentPart = z.looseObject({ type: z.string(), text: z.string().optional() })

export const chatMessage = z.looseObject({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool', 'function']),
  content: z.union([z.string(), z.array(contentPart)]).nullish(),
})
export type ChatMessage = z.infer<typeof chatMessage>

export const chatRequest = z.looseObject({
  ...sampling,
  messages: z.array(chatMessage).min(1).max(100_000),
  max_completion_tokens: outputTokens,
})
export type ChatRequest = z.infer<typeof chatRequest>

export const completionRequest = z.looseObject({
  ...sampling,
  prompt: z.union([
    z.string(),
    z.array(z.string()).min(1),
    z.array(tokenId).min(1),
    z.array(z.array(tokenId).min(1)).min(1),
  ]),
})
export type CompletionRequest = z.infer<typeof completionRequest>

export const embeddingRequest = z.looseObject({
  model: modelName,
  input: z.union([
    z.string().min(1),
    z.array(z.string().min(1)).min(1).max(embeddingInputsMax),
    z.array(tokenId).min(1),
    z.array(z.array(tokenId).min(1)).min(1).max(embeddingInputsMax),
  ]),
  /** The official client asks for base64 unless told otherwise. */
  encoding_format: optional(z.enum(['float', 'base64'])),
  dimensions: optional(z.int().min(1).max(65_536)),
})
export type EmbeddingRequest = z.infer<typeof embeddingRequest>

/** Parses a body, or throws a WireFailure (400) that names the first wrong field. */
export function parseRequest<T>(schema: z.ZodType<T>, bodyBytes: Uint8Array): T {
  const body = jsonOf(bodyBytes)
  const parsed = schema.safeParse(body)
  if (parsed.success) return parsed.data
  const { message, param, code } = wrongIn(body, parsed.error.issues)
  throw new WireFailure(badRequest(message, param, code))
}

/** The text of a message's content; undefined when it holds something other than text. */
export function textOf(message: ChatMessage): string | undefined {
  const { content } = message
  if (content === null || content === undefined) return ''
  if (typeof content === 'string') return content
  const texts = content.map((part) => (part.type === 'text' ? part.text : undefined))
  return texts.some((text) => text === undefined) ? undefined : texts.join('')
}

export function stopsOf(request: { stop?: string | string[] | undefined }): string[] {
  if (request.stop === undefined) return []
  return typeof request.stop === 'string' ? [request.stop] : request.stop
}

function jsonOf(bodyBytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bodyBytes))
  } catch {
    throw new WireFailure(badRequest('The request body is not valid JSON in UTF-8.', null, 'invalid_json'))
  }
}
