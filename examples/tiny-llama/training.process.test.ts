import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { newestCheckpoint } from './checkpoint.ts'
import { toGguf } from './gguf.ts'
import { initialParameters, Llama } from './model.ts'
import { decode, encode } from './tokens.ts'

/** Built by `npm test` before vitest starts. */
const trainer = join(import.meta.dirname, '../../dist/examples/tiny-llama/train.js')
const text = join(import.meta.dirname, '../../README.md')
const small = ['--data', text, '--context', '32', '--width', '32', '--layers', '1', '--heads', '2', '--ffn', '64']
const shape = { width: 32, layers: 1, heads: 2, ffn: 64, context: 32 }

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tiny-llama-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('the trainer', () => {
  it('gives the same losses with n workers as with one and n times the batch, within float error', async () => {
    const one = await losses('one', 1, ['--batch', '6', '--steps', '12'])
    const two = await losses('two', 2, ['--batch', '3', '--steps', '12'])
    const three = await losses('three', 3, ['--batch', '2', '--steps', '12'])
    expect(one).toHaveLength(12)
    for (const other of [two, three]) {
      expect(other).toHaveLength(12)
      other.forEach((loss, step) => {
        expect(Math.abs(loss - (one[step] ?? 0))).toBeLessThan(1e-4)
      })
    }
  })

  it('resumed after SIGKILL equals the undisturbed run, bit for bit', async () => {
    const undisturbed = join(folder, 'undisturbed')
    const killed = join(folder, 'killed')
    const flags = ['--batch', '2', '--steps', '24', '--checkpoint-every', '8']
    await losses('whole', 1, [...flags, '--checkpoints', undisturbed])
    const first = start('victim', 1, [...flags, '--checkpoints', killed, '--step-delay', '20'])
    await until(() => existsSync(join(killed, 'step-8')))
    first[0]?.child.kill('SIGKILL')
    await Promise.all(first.map(({ ended }) => ended))
    await losses('resumed', 1, [...flags, '--checkpoints', killed])
    const bytes = (dir: string) => readFileSync(join(dir, 'step-24', 'state.bin'))
    expect(bytes(killed).equals(bytes(undisturbed))).toBe(true)
  })

  it('ends with a sentence when a peer dies', async () => {
    const workers = start('orphan', 2, ['--batch', '1', '--steps', '1000', '--step-delay', '20'])
    await until(() => (workers[0]?.output() ?? '').includes('step 1/'))
    workers[1]?.child.kill('SIGKILL')
    expect(await workers[0]?.ended).toBe(1)
    expect(workers[0]?.output()).toContain('a peer went away')
  })
})

describe('the exported model', () => {
  it("continues greedily in llama.cpp as by the trainer's own forward pass", async () => {
    const checkpoints = join(folder, 'parity')
    await losses('parity', 1, [
      '--batch',
      '4',
      '--steps',
      '60',
      '--checkpoint-every',
      '60',
      '--checkpoints',
      checkpoints,
    ])
    const llama = await Llama.create(shape)
    const parameters = newestCheckpoint(checkpoints, llama.size)?.parameters ?? initialParameters(shape, 1)
    const prompt = [...encode(new TextEncoder().encode('millwright '))]
    const own = [...prompt]
    while (own.length < shape.context) {
      const last = (await llama.logits(parameters, own)).at(-1) ?? new Float32Array()
      own.push(
        last.reduce((best, value, token) => (value > (last[best] ?? Number.NEGATIVE_INFINITY) ? token : best), 0),
      )
    }
    const file = join(folder, 'model.gguf')
    const { writeFileSync } = await import('node:fs')
    writeFileSync(file, toGguf(shape, parameters, 'parity'))
    const { getLlama, LlamaLogLevel } = await import('node-llama-cpp')
    const engine = await getLlama({
      gpu: false,
      build: 'never',
      skipDownload: true,
      maxThreads: 1,
      logLevel: LlamaLogLevel.disabled,
    })
    const model = await engine.loadModel({ modelPath: file })
    expect(model.tokenize('millwright ')).toEqual(prompt)
    const context = await model.createContext({ contextSize: 256, flashAttention: false })
    const sequence = context.getSequence()
    const theirs: number[] = [...prompt]
    for await (const token of sequence.evaluate(model.tokenize('millwright '), { temperature: 0 })) {
      theirs.push(token)
      if (theirs.length >= shape.context) break
    }
    expect(new TextDecoder().decode(decode(theirs))).toBe(new TextDecoder().decode(decode(own)))
    await engine.dispose()
  })
})

async function losses(name: string, workers: number, flags: string[]): Promise<number[]> {
  const started = start(name, workers, flags)
  for (const worker of started) expect(await worker.ended, worker.output()).toBe(0)
  const lines = readFileSync(join(folder, `${name}-0.jsonl`), 'utf8')
    .trim()
    .split('\n')
  return lines
    .map((line) => JSON.parse(line) as { step?: number; loss?: number })
    .flatMap((line) => (line.loss === undefined ? [] : [line.loss]))
}

function start(name: string, workers: number, flags: string[]) {
  const port = freePort()
  return Array.from({ length: workers }, (_, rank) => {
    let output = ''
    const ready = port.then((at) => {
      const child = spawn(process.execPath, [trainer, ...small, ...flags], {
        env: {
          ...process.env,
          RANK: String(rank),
          WORLD_SIZE: String(workers),
          MASTER_ADDR: '127.0.0.1',
          MASTER_PORT: String(at),
          MILLWRIGHT_PROGRESS: join(folder, `${name}-${rank}.jsonl`),
        },
      })
      child.stdout.on('data', (chunk) => {
        output += chunk
      })
      child.stderr.on('data', (chunk) => {
        output += chunk
      })
      return child
    })
    const ended = ready.then((child) => new Promise<number | null>((done) => child.on('close', (code) => done(code))))
    return {
      child: { kill: (signal: NodeJS.Signals) => void ready.then((child) => child.kill(signal)) },
      ended,
      output: () => output,
    }
  })
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}

async function until(done: () => boolean): Promise<void> {
  await expect.poll(done, { timeout: 30_000, interval: 10 }).toBe(true)
}
