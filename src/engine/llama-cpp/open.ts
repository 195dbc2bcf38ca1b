import { statSync } from 'node:fs'
import type {
  Llama,
  LlamaContext,
  LlamaContextSequence,
  LlamaEmbeddingContext,
  LlamaModel,
  Token,
} from 'node-llama-cpp'
import type { ChatPrompt, ChatTurn, Generation, Outcome, TextModel } from '../text-model.ts'
import { type ChatTemplate, openChatTemplate } from './chat-template.ts'
import { checkGgufHead } from './gguf-head.ts'
import type { LlamaCppOptions } from './options.ts'
import type { LlamaPackage } from './package.ts'

/** Models below this size are computed exactly: plain attention, 32-bit caches, and no reuse of a prompt's state. */
const exactBytesMax = 100 * 1024 * 1024
const contextDefaultMax = 8192
/** Prompt tokens computed between two looks at whether the client is still there. */
const prefillTokens = 512

/** node-llama-cpp is an optional peer of the package: found here, or asked for in one sentence. */
export async function importLlama(): Promise<LlamaPackage> {
  try {
    return await import('node-llama-cpp')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code !== 'ERR_MODULE_NOT_FOUND') throw error
    const message = 'millwright-engine llama.cpp needs the package node-llama-cpp: npm install node-llama-cpp@3.20.0'
    throw new Error(message, { cause: error })
  }
}

/** One thread unless asked: on a shared machine more threads than idle cores slow llama.cpp down by orders. */
export async function openModel(llamaPackage: LlamaPackage, options: LlamaCppOptions): Promise<TextModel> {
  checkGgufHead(options.modelPath)
  const llama = await llamaPackage.getLlama({
    gpu: false,
    build: 'never',
    skipDownload: true,
    maxThreads: options.threads,
    progressLogs: false,
    logLevel: llamaPackage.LlamaLogLevel.error,
  })
  const model = await llama.loadModel({ modelPath: options.modelPath })
  return LlamaCppModel.open(llamaPackage, llama, model, options)
}

class LlamaCppModel implements TextModel {
  readonly contextTokens: number
  readonly seats: number
  readonly #model: LlamaModel
  readonly #sequences: LlamaContextSequence[]
  readonly #exact: boolean
  readonly #threads: number
  readonly #vocabularySize: number
  readonly #template: ChatTemplate | undefined
  #embedding: Promise<LlamaEmbeddingContext> | undefined
  #embeddingTurn: Promise<unknown> = Promise.resolve()

  static async open(llamaPackage: LlamaPackage, llama: Llama, model: LlamaModel, options: LlamaCppOptions) {
    const contextTokens = Math.min(options.context ?? contextDefaultMax, model.trainContextSize)
    const exact = statSync(options.modelPath).size < exactBytesMax
    const context = await model.createContext({
      sequences: options.parallel,
      // One cell more than is used: node-llama-cpp shifts the context out before its last cell.
      contextSize: contextTokens + 1,
      batchSize: Math.max(prefillTokens, options.parallel),
      threads: options.threads,
      ...(exact && exactness),
    })
    return new LlamaCppModel(llamaPackage, model, context, { contextTokens, exact, threads: llama.maxThreads })
  }

  private constructor(
    llamaPackage: LlamaPackage,
    model: LlamaModel,
    context: LlamaContext,
    settings: { contextTokens: number; exact: boolean; threads: number },
  ) {
    this.contextTokens = settings.contextTokens
    this.#exact = settings.exact
    this.#threads = settings.threads
    this.#model = model
    this.seats = context.totalSequences
    this.#sequences = Array.from({ length: this.seats }, () => context.getSequence())
    const metadata = model.fileInfo.metadata.tokenizer
    this.#vocabularySize = metadata.ggml.tokens.length
    const template = metadata.chat_template
    this.#template = template === undefined ? undefined : openChatTemplate(llamaPackage, model, template)
  }

  textPrompt(text: string): number[] {
    return this.#withBeginning(this.#model.tokenize(text))
  }

  chatPrompt(turns: readonly ChatTurn[]): ChatPrompt {
    if (this.#template === undefined) {
      const text = turns.map((turn) => turn.text).join('\n')
      return { tokens: this.textPrompt(text), stops: [], stopTokens: [] }
    }
    const prompt = this.#template(turns)
    return { ...prompt, tokens: this.#withBeginning(prompt.tokens) }
  }

  isToken(id: number): boolean {
    return Number.isInteger(id) && id >= 0 && id < this.#vocabularySize
  }

  bestSeat(prompt: readonly number[], free: readonly number[]): number {
    const first = free[0] ?? 0
    if (this.#exact) return first
    const saved = (seat: number) => sharedPrefix(this.#sequences[seat]?.contextTokens ?? [], prompt)
    return free.reduce((best, seat) => (saved(seat) > saved(best) ? seat : best), first)
  }

  async *generate(request: Generation, signal: AbortSignal): AsyncGenerator<string, Outcome> {
    const sequence = this.#sequences[request.seat]
    if (sequence === undefined) throw new Error(`there is no seat ${request.seat}`)
    const left = await this.#prefill(sequence, request, signal)
    if (left === 'aborted') return { finish: 'stop' }
    const text = new TokenText(this.#model, left)
    const generated: Token[] = []
    for await (const token of sequence.evaluate(left, samplingOf(request, generated))) {
      if (signal.aborted || request.stopTokens.includes(token)) break
      generated.push(token)
      const last = generated.length >= request.tokensMax
      yield last ? text.push(token) + text.rest() : text.push(token)
      if (last) return { finish: 'length' }
    }
    return { finish: 'stop' }
  }

  /** Brings the sequence to just before the prompt's last piece, and returns that piece. */
  async #prefill(sequence: LlamaContextSequence, request: Generation, signal: AbortSignal) {
    const prompt = request.prompt as Token[]
    if (this.#exact) await sequence.clearHistory()
    else await sequence.adaptStateToTokens(prompt.slice(0, -1), false)
    let at = sequence.nextTokenIndex
    request.onCached(at)
    while (prompt.length - at > prefillTokens) {
      if (signal.aborted) return 'aborted'
      await sequence.evaluateWithoutGeneratingNewTokens(prompt.slice(at, at + prefillTokens))
      at += prefillTokens
    }
    return signal.aborted ? 'aborted' : prompt.slice(at)
  }

  /** Embeddings have a context of their own, made on first use; it computes one input at a time. */
  async embed(tokens: readonly number[]): Promise<number[]> {
    this.#embedding ??= this.#model.createEmbeddingContext({ contextSize: this.contextTokens, threads: this.#threads })
    const context = await this.#embedding
    const turn = this.#embeddingTurn.then(() => context.getEmbeddingFor(tokens as Token[]))
    this.#embeddingTurn = turn.catch(() => {})
    return unitVector((await turn).vector)
  }

  #withBeginning(tokens: number[]): number[] {
    const { bos, shouldPrependBosToken } = this.#model.tokens
    return shouldPrependBosToken && bos !== null && tokens[0] !== bos ? [bos, ...tokens] : tokens
  }
}

const exactness = {
  flashAttention: false,
  experimentalKvCacheKeyType: 'F32',
  experimentalKvCacheValueType: 'F32',
} as const

function samplingOf(request: Generation, generated: Token[]) {
  const { temperature, topP, topK, seed, presencePenalty, frequencyPenalty, ignoreEnd } = request
  const penalised = presencePenalty !== 0 || frequencyPenalty !== 0
  return {
    temperature,
    topP,
    topK,
    seed,
    yieldEogToken: ignoreEnd,
    ...(penalised && {
      repeatPenalty: { punishTokens: () => generated, penalty: 1, presencePenalty, frequencyPenalty },
    }),
  }
}

/** Text of tokens that may each hold only part of a character: pieces are held until the character is whole. */
class TokenText {
  readonly #model: LlamaModel
  #before: Token[]
  #pending: Token[] = []

  constructor(model: LlamaModel, before: readonly Token[]) {
    this.#model = model
    this.#before = before.slice(-4)
  }

  push(token: Token): string {
    this.#pending.push(token)
    const text = this.#text()
    const incomplete = text.endsWith('\ufffd') && this.#pending.length < characterTokensMax
    return incomplete ? '' : this.#take(text)
  }

  rest(): string {
    return this.#pending.length === 0 ? '' : this.#take(this.#text())
  }

  #text(): string {
    return this.#model.detokenize(this.#pending, false, this.#before)
  }

  #take(text: string): string {
    this.#before = [...this.#before, ...this.#pending].slice(-4)
    this.#pending = []
    return text
  }
}

/** A character of UTF-8 has at most four bytes, so at most four tokens; more that don't decode are noise. */
const characterTokensMax = 4

function sharedPrefix(a: readonly number[], b: readonly number[]): number {
  let length = 0
  while (length < a.length && length < b.length && a[length] === b[length]) length++
  return length
}

function unitVector(vector: readonly number[]): number[] {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0))
  return length === 0 ? [...vector] : vector.map((value) => value / length)
}
