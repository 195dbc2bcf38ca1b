import { once } from 'node:events'
import type { FastifyReply } from 'fastify'
import type { Answer } from './answer.ts'

/**
 * Chunked, at the reader's pace. What fails before the first byte is thrown, so that it becomes a Status; what fails
 * after it cuts the connection, so that the reader knows the stream for incomplete.
 */
export async function writeStream(
  reply: FastifyReply,
  answer: Extract<Answer, { kind: 'stream' }>,
  signal: AbortSignal,
): Promise<void> {
  const chunks = answer.chunks[Symbol.asyncIterator]()
  let next = answer.waits === true ? await chunks.next() : undefined
  reply.hijack()
  const { raw } = reply
  raw.writeHead(200, { 'content-type': answer.type, 'cache-control': 'no-cache' })
  raw.flushHeaders()
  try {
    next ??= await chunks.next()
    while (next.done !== true && !signal.aborted) {
      if (!raw.write(next.value)) await once(raw, 'drain', { signal })
      next = await chunks.next()
    }
    raw.end()
  } catch {
    raw.destroy()
  } finally {
    await chunks.return?.()
  }
}
