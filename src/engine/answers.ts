import { randomInt, randomUUID } from 'node:crypto'
import { badRequest, contextExceeded, modelNotFound, unavailable, WireFailure } from '../wire/errors.ts'
import {
  type ChatMessage,
  type ChatRequest,
  type CompletionRequest,
  chatRequest,
  completionRequest,
  type EmbeddingRequest,
  embeddingRequest,
  parseRequest,
  stopsOf,
  textOf,
} from '../wire/requests.ts'
import {
  type ChatChunk,
  type ChatCompletion,
  type Completion,
  type EmbeddingList,
  type FinishReason,
  type Usage,
  usageOf,
} from '../wire/responses.ts'
import type { Seats } from './seats.ts'
import { StopText } from './stop-text.ts'
import type { ChatTurn, Generation, TextModel } from './text-model.ts'

/** What answering needs: the model, its seats, its names (the first is the main one), and counters to keep. */
export interface Desk {
  model: TextModel
  seats: Seats
  names: readonly string[]
  counters: { promptTokens: number; tokensGenerated: number }
}

/** Where an answer goes. Calls to `event` resolve when the reader is ready for more. */
export interface Reply {
  readonly signal: AbortSignal
  json(body: unknown): void
  event(value: unknown): Promise<void>
  end(): void
}

/** What answers each path that takes a body. */
export const answers = {
  '/v1/chat/completions': answerChat,
  '/v1/completions': answerCompletion,
  '/v1/embeddings': answerEmbedding,
} as const

async function answerChat(desk: Desk, body: Uint8Array, reply: Reply): Promise<void> {
  const request = parseRequest(chatRequest, body)
  checkModel(desk, request.model)
  refuseUnsupported(request, ['tools', 'functions', 'logprobs', 'logit_bias', 'audio'])
  const prompt = desk.model.chatPrompt(request.messages.map(turnOf))
  const call: Call = {
    prompt: prompt.tokens,
    promptField: 'messages',
    stops: [...stopsOf(request), ...prompt.stops],
    stopTokens: prompt.stopTokens,
    request,
    tokensMax: request.max_completion_tokens ?? request.max_tokens,
    shape: chatShape(desk),
  }
  await answer(desk, call, reply)
}

async function answerCompletion(desk: Desk, body: Uint8Array, reply: Reply): Promise<void> {
  const request = parseRequest(completionRequest, body)
  checkModel(desk, request.model)
  refuseUnsupported(request, ['echo', 'suffix', 'logprobs', 'logit_bias'])
  const call: Call = {
    prompt: promptOf(desk.model, request),
    promptField: 'prompt',
    stops: stopsOf(request),
    stopTokens: [],
    request,
    tokensMax: request.max_tokens ?? 16, // OpenAI's default for this endpoint
    shape: completionShape(desk),
  }
  await answer(desk, call, reply)
}

async function answerEmbedding(desk: Desk, body: Uint8Array, reply: Reply): Promise<void> {
  const request = parseRequest(embeddingRequest, body)
  checkModel(desk, request.model)
  const inputs = embeddingInputs(desk.model, request)
  const seat = await seatFor(desk, [], reply.signal)
  if (seat === 'left') return
  try {
    const vectors: number[][] = []
    for (const tokens of inputs) {
      if (reply.signal.aborted) return
      vectors.push(await desk.model.embed(tokens))
    }
    const size = vectors[0]?.length ?? 0
    if (request.dimensions !== undefined && request.dimensions !== size) {
      throw new WireFailure(badRequest(`This model's embeddings have ${size} dimensions.`, 'dimensions'))
    }
    const promptTokens = inputs.reduce((sum, tokens) => sum + tokens.length, 0)
    desk.counters.promptTokens += promptTokens
    reply.json({
      object: 'list',
      model: mainName(desk),
      data: vectors.map((vector, index) => ({
        object: 'embedding',
        index,
        embedding: request.encoding_format === 'base64' ? base64Of(vector) : vector,
      })),
      usage: usageOf(promptTokens, 0),
    } satisfies EmbeddingList)
  } finally {
    desk.seats.give(seat)
  }
}

/** One generation, whichever endpoint asked for it. */
interface Call {
  prompt: number[]
  promptField: string
  stops: string[]
  stopTokens: number[]
  request: ChatRequest | CompletionRequest
  tokensMax: number | undefined
  shape: Shape
}

/** How an endpoint words its answers. */
interface Shape {
  opening(): unknown | undefined
  piece(text: string): unknown
  closing(finish: FinishReason): unknown
  usage(usage: Usage): unknown
  whole(text: string, finish: FinishReason, usage: Usage): unknown
}

async function answer(desk: Desk, call: Call, reply: Reply): Promise<void> {
  const { request, shape } = call
  if (request.n !== undefined && request.n !== 1) {
    throw new WireFailure(badRequest('Only one answer per request: "n" must be 1.', 'n'))
  }
  const room = desk.model.contextTokens - call.prompt.length
  if (room < 1) {
    throw new WireFailure(contextExceeded(call.prompt.length, desk.model.contextTokens, call.promptField))
  }
  const seat = await seatFor(desk, call.prompt, reply.signal)
  if (seat === 'left') return
  try {
    const run = generationFor(call, seat, room)
    const told = await tell(desk, call, run, reply)
    if (told === 'left') return
    const cost = usageOf(call.prompt.length, told.tokens, told.cached)
    if (!request.stream) return reply.json(shape.whole(told.text, told.finish, cost))
    await reply.event(shape.closing(told.finish))
    if (request.stream_options?.include_usage === true) await reply.event(shape.usage(cost))
    reply.end()
  } finally {
    desk.seats.give(seat)
  }
}

interface Told {
  text: string
  tokens: number
  cached: number
  finish: FinishReason
}

/** Runs the generation, streaming if asked; 'left' when the client went away. */
async function tell(desk: Desk, call: Call, run: Generation, reply: Reply): Promise<Told | 'left'> {
  const streamed = call.request.stream === true
  const stopText = new StopText(call.stops)
  const told: Told = { text: '', tokens: 0, cached: 0, finish: 'stop' }
  let opened = !streamed
  const say = async (text: string) => {
    if (!opened) {
      opened = true
      const opening = call.shape.opening()
      if (opening !== undefined) await reply.event(opening)
    }
    if (text === '') return
    if (streamed) await reply.event(call.shape.piece(text))
    else told.text += text
  }
  desk.counters.promptTokens += call.prompt.length
  const onCached = (cached: number) => {
    told.cached = cached
  }
  const tokens = desk.model.generate({ ...run, onCached }, reply.signal)
  try {
    for (;;) {
      const next = await tokens.next()
      if (reply.signal.aborted) return 'left'
      if (next.done) {
        told.finish = next.value.finish
        break
      }
      told.tokens++
      desk.counters.tokensGenerated++
      await say(stopText.push(next.value))
      if (stopText.stopped) break
    }
  } finally {
    await tokens.return({ finish: 'stop' })
  }
  if (stopText.stopped) told.finish = 'stop'
  await say(stopText.rest())
  return reply.signal.aborted ? 'left' : told
}

function generationFor(call: Call, seat: number, room: number): Generation {
  const { request } = call
  return {
    seat,
    prompt: call.prompt,
    tokensMax: Math.min(call.tokensMax ?? room, room),
    stopTokens: call.stopTokens,
    temperature: request.temperature ?? 1,
    topP: request.top_p ?? 1,
    topK: Math.max(0, request.top_k ?? 0),
    seed: request.seed === undefined ? randomInt(2 ** 31) : seedBits(request.seed),
    presencePenalty: request.presence_penalty ?? 0,
    frequencyPenalty: request.frequency_penalty ?? 0,
    ignoreEnd: request.ignore_eos ?? false,
    onCached: () => {},
  }
}

/** llama.cpp's seeds have 32 bits, and all ones means "pick one". */
function seedBits(seed: number): number {
  return (((seed % 0xffffffff) + 0xffffffff) % 0xffffffff) >>> 0
}

async function seatFor(desk: Desk, prompt: readonly number[], signal: AbortSignal): Promise<number | 'left'> {
  const seat = await desk.seats.take((free) => desk.model.bestSeat(prompt, free), signal)
  if (seat !== 'full') return seat
  const message = `All ${desk.seats.total} seats are taken and ${desk.seats.queued} requests wait. Try again shortly.`
  throw new WireFailure(unavailable(message, 'overloaded'))
}

function checkModel(desk: Desk, model: string): void {
  if (!desk.names.includes(model)) throw new WireFailure(modelNotFound(model, desk.names))
}

/** Better a clear no than an answer that silently ignores what was asked. */
function refuseUnsupported(request: Record<string, unknown>, fields: readonly string[]): void {
  const asked = fields.find((field) => !isNothing(request[field]))
  if (asked !== undefined) {
    throw new WireFailure(badRequest(`This engine does not support "${asked}".`, asked, 'unsupported_parameter'))
  }
  const format = request['response_format']
  if (typeof format === 'object' && format !== null && 'type' in format && format.type !== 'text') {
    const message = 'This engine answers in plain text only: "response_format" must be {"type": "text"}.'
    throw new WireFailure(badRequest(message, 'response_format', 'unsupported_parameter'))
  }
}

function isNothing(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === '') return true
  if (Array.isArray(value)) return value.length === 0
  return typeof value === 'object' && Object.keys(value).length === 0
}

function turnOf(message: ChatMessage, at: number): ChatTurn {
  const text = textOf(message)
  if (text === undefined) {
    const param = `messages[${at}].content`
    throw new WireFailure(badRequest('This model reads text only; the message has other parts.', param))
  }
  return { role: message.role, text }
}

function promptOf(model: TextModel, request: CompletionRequest): number[] {
  const { prompt } = request
  if (typeof prompt === 'string') return nonEmpty(model.textPrompt(prompt))
  const first = prompt[0]
  if (typeof first === 'number') return tokensOf(model, prompt, 'prompt')
  if (prompt.length > 1) {
    throw new WireFailure(badRequest(`One prompt per request; this one has ${prompt.length}.`, 'prompt'))
  }
  return typeof first === 'string' ? nonEmpty(model.textPrompt(first)) : tokensOf(model, first ?? [], 'prompt')
}

function embeddingInputs(model: TextModel, request: EmbeddingRequest): number[][] {
  const { input } = request
  const inputs = readInputs(model, input)
  for (const tokens of inputs) {
    if (tokens.length > model.contextTokens) {
      throw new WireFailure(contextExceeded(tokens.length, model.contextTokens, 'input'))
    }
  }
  return inputs
}

function readInputs(model: TextModel, input: EmbeddingRequest['input']): number[][] {
  if (typeof input === 'string') return [nonEmpty(model.textPrompt(input))]
  if (typeof input[0] === 'number') return [tokensOf(model, input, 'input')]
  return input.map((item) =>
    typeof item === 'string' ? nonEmpty(model.textPrompt(item)) : tokensOf(model, [item].flat(), 'input'),
  )
}

/** Token ids from outside: one that the vocabulary lacks would crash the engine. */
function tokensOf(model: TextModel, ids: readonly unknown[], param: string): number[] {
  const known = ids.filter((id): id is number => typeof id === 'number' && model.isToken(id))
  if (known.length < ids.length) throw new WireFailure(badRequest('A token id is not in the vocabulary.', param))
  return known
}

function nonEmpty(tokens: number[]): number[] {
  if (tokens.length === 0) throw new WireFailure(badRequest('The prompt is empty.', 'prompt', 'invalid_value'))
  return tokens
}

function chatShape(desk: Desk): Shape {
  const base = { id: `chatcmpl-${randomUUID()}`, created: nowSeconds(), model: mainName(desk) }
  const chunk = (delta: { role?: string; content?: string }, finish: FinishReason | null): ChatChunk => ({
    ...base,
    object: 'chat.completion.chunk',
    choices: [{ index: 0, delta, finish_reason: finish }],
  })
  return {
    opening: () => chunk({ role: 'assistant', content: '' }, null),
    piece: (content) => chunk({ content }, null),
    closing: (finish) => chunk({}, finish),
    usage: (usage) => ({ ...base, object: 'chat.completion.chunk', choices: [], usage }) satisfies ChatChunk,
    whole: (content, finish_reason, usage) =>
      ({
        ...base,
        object: 'chat.completion',
        choices: [{ index: 0, message: { role: 'assistant', content, refusal: null }, logprobs: null, finish_reason }],
        usage,
      }) satisfies ChatCompletion,
  }
}

function completionShape(desk: Desk): Shape {
  const base = {
    id: `cmpl-${randomUUID()}`,
    object: 'text_completion' as const,
    created: nowSeconds(),
    model: mainName(desk),
  }
  const choice = (text: string, finish_reason: FinishReason | null) => [
    { index: 0, text, logprobs: null, finish_reason },
  ]
  return {
    opening: () => undefined,
    piece: (text) => ({ ...base, choices: choice(text, null) }) satisfies Completion,
    closing: (finish) => ({ ...base, choices: choice('', finish) }) satisfies Completion,
    usage: (usage) => ({ ...base, choices: [], usage }) satisfies Completion,
    whole: (text, finish, usage) => ({ ...base, choices: choice(text, finish), usage }) satisfies Completion,
  }
}

function mainName(desk: Desk): string {
  return desk.names[0] ?? 'model'
}

function nowSeconds(): number {
  return Math.floor(Date.now() / 1000)
}

function base64Of(vector: readonly number[]): string {
  const bytes = Buffer.alloc(vector.length * 4)
  for (const [i, value] of vector.entries()) bytes.writeFloatLE(value, i * 4)
  return bytes.toString('base64')
}
