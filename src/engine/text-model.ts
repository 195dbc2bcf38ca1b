import type { ChatMessage } from '../wire/requests.ts'
import type { FinishReason } from '../wire/responses.ts'

/** A loaded model, as the HTTP server sees it. Token ids are the model's own. */
export interface TextModel {
  /** How many tokens a prompt and its answer may have together. */
  readonly contextTokens: number
  /** How many generations may run at once; each has a seat from 0 to seats - 1. */
  readonly seats: number
  /** Tokens of a text as it stands, after the beginning-of-text token if the model wants one. */
  textPrompt(text: string): number[]
  /** Tokens of a conversation up to where the assistant speaks, and what ends its turn. */
  chatPrompt(messages: readonly ChatTurn[]): ChatPrompt
  isToken(id: number): boolean
  /** The free seat whose memory saves most of the prompt's work. `free` is never empty. */
  bestSeat(prompt: readonly number[], free: readonly number[]): number
  /**
   * Generates on a seat that the caller holds: yields each token's text as it comes ('' while a character is
   * incomplete) and returns why it ended. Ends early, within about one token, when `signal` aborts or the caller
   * stops reading.
   */
  generate(request: Generation, signal: AbortSignal): AsyncGenerator<string, Outcome>
  /** A unit vector for the tokens. */
  embed(tokens: readonly number[]): Promise<number[]>
}

export interface ChatTurn {
  role: ChatMessage['role']
  text: string
}

export interface ChatPrompt {
  tokens: number[]
  stops: string[]
  stopTokens: number[]
}

export interface Generation {
  seat: number
  prompt: number[]
  /** At least 1; already cut to what the context has room for. */
  tokensMax: number
  stopTokens: readonly number[]
  temperature: number
  topP: number
  topK: number
  seed: number
  presencePenalty: number
  frequencyPenalty: number
  ignoreEnd: boolean
  /** Told how many of the prompt's tokens were still in the seat's memory. */
  onCached(tokens: number): void
}

export interface Outcome {
  finish: FinishReason
}
