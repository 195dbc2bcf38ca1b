import { setMaxListeners } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import type { Client } from '../api/client.ts'
import { OperatingError } from '../base/errors.ts'
import type { LogOptions, Pod } from '../model/kinds/kubernetes.ts'
import { isUnreachable } from './transport.ts'

const retryMs = 500

/**
 * Prints the output of a pod, each line behind `prefix`. Followed, it outlives a factory that goes away: it goes on
 * after the last byte that came. (Of a tail nobody knows where in the output it was: it goes on with what is new.)
 */
export async function printLog(
  client: Client,
  pod: Pod,
  options: LogOptions,
  prefix: string,
  signal: AbortSignal,
): Promise<void> {
  setMaxListeners(0, signal) // one stops the output of any number of pods
  const ref = { namespace: pod.metadata.namespace, name: pod.metadata.name }
  const lines = linesBehind(prefix)
  let received = 0
  let wanted = options
  for (let isOver = false; !isOver; ) {
    try {
      let skip = received
      for await (const chunk of client.logs(ref, wanted, signal)) {
        const fresh = chunk.subarray(Math.min(skip, chunk.length))
        skip -= chunk.length - fresh.length
        if (wanted.tailLines === undefined) received += fresh.length
        lines.write(fresh)
      }
      isOver = true
    } catch (error) {
      if (options.follow !== true || !canGoOn(error)) throw error
      if (options.tailLines !== undefined) wanted = { ...options, tailLines: 0 }
      await pause(retryMs, undefined, { signal }).catch(() => undefined)
      isOver = signal.aborted
    }
  }
  lines.end()
}

function canGoOn(error: unknown): boolean {
  return isUnreachable(error) || (error instanceof OperatingError && error.code === 'cut')
}

function linesBehind(prefix: string) {
  const decoder = new TextDecoder()
  let rest = ''
  return {
    write(chunk: Uint8Array): void {
      if (prefix === '') return void process.stdout.write(chunk)
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) process.stdout.write(`${prefix}${line}\n`)
    },
    end(): void {
      if (rest !== '') process.stdout.write(`${prefix}${rest}\n`)
    },
  }
}
