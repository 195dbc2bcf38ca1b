import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fixtureBytes, writeFixture } from './fixture.ts'

const bin = fileURLToPath(new URL('../../../dist/bin/millwright-engine.js', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'engine-'))
const running = new Set<ChildProcess>()

interface Engine {
  url: string
  client: OpenAI
  process: ChildProcess
  status(): Promise<Status>
}

interface Status {
  running: number
  queued: number
  slots: number
  tokensGenerated: number
  promptTokens: number
}

async function start(model: string, ...args: string[]): Promise<Engine> {
  const child = spawn(
    process.execPath,
    [bin, 'llama.cpp', '--model', model, '--port', '0', '--name', 'tiny', ...args],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  running.add(child)
  child.once('exit', () => running.delete(child))
  let url = ''
  for await (const line of createInterface({ input: child.stdout })) {
    url = /http:\/\/[^,]+/.exec(line)?.[0] ?? url
    if (line.startsWith('serving')) break
  }
  child.stdout.resume()
  if (url === '') throw new Error('the engine ended before it served')
  return {
    url,
    process: child,
    client: new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 }),
    status: async () => (await fetch(`${url}/status`)).json() as Promise<Status>,
  }
}

/** Looks again until `wanted` holds; the test's own time limit ends a wait in vain. */
async function until(engine: Engine, wanted: (status: Status) => boolean): Promise<Status> {
  for (;;) {
    const status = await engine.status()
    if (wanted(status)) return status
  }
}

/** Resolves once the engine takes no new connection. */
async function refused(engine: Engine): Promise<void> {
  for (;;) {
    const answered = await engine.status().catch(() => undefined)
    if (answered === undefined) return
  }
}

const hello = [{ role: 'user' as const, content: 'Hello, mill' }]
const asked = { model: 'tiny', messages: hello, temperature: 0, max_tokens: 24 }
/** Long enough that it is still running whenever the test looks, and bounded all the same. */
const endless = { model: 'tiny', messages: hello, temperature: 0, stream: true as const }

beforeAll(() => {
  mkdirSync(join(folder, 'model'))
  writeFixture(join(folder, 'model', 'small.gguf'), { context: 256 })
  writeFixture(join(folder, 'long.gguf'), { context: 65_536 })
})

afterAll(async () => {
  const exits = [...running].map((child) => once(child, 'exit'))
  for (const child of running) child.kill('SIGKILL')
  await Promise.all(exits)
  rmSync(folder, { recursive: true, force: true })
})

describe('answers', () => {
  let engine: Engine
  beforeAll(async () => {
    engine = await start(join(folder, 'model'))
  })

  test('a chat answer has text, usage and the reason that it ended', async () => {
    const answer = await engine.client.chat.completions.create(asked)
    expect(answer.object).toBe('chat.completion')
    expect(answer.model).toBe('tiny')
    expect(answer.choices[0]?.finish_reason).toBe('length')
    expect(answer.choices[0]?.message.content).toHaveLength(24)
    expect(answer.usage).toMatchObject({ prompt_tokens: 11, completion_tokens: 24, total_tokens: 35 })
  })

  test('temperature 0 gives the same text every time, streamed or whole, alone or in company', async () => {
    const alone = await engine.client.chat.completions.create(asked)
    const texts = await Promise.all(
      Array.from({ length: 4 }, async () => {
        let text = ''
        for await (const chunk of await engine.client.chat.completions.create({ ...asked, stream: true })) {
          text += chunk.choices[0]?.delta.content ?? ''
        }
        return text
      }),
    )
    expect(new Set(texts)).toEqual(new Set([alone.choices[0]?.message.content]))
  })

  test('a seed repeats a sample, and another seed gives another', async () => {
    const sample = async (seed: number) => {
      const answer = await engine.client.chat.completions.create({ ...asked, temperature: 1.5, seed })
      return answer.choices[0]?.message.content
    }
    expect(await sample(7)).toBe(await sample(7))
    expect(await sample(8)).not.toBe(await sample(7))
  })

  test('a stream tells its usage only when asked', async () => {
    const usages = async (include_usage: boolean) => {
      const stream = await engine.client.chat.completions.create({
        ...asked,
        stream: true,
        stream_options: { include_usage },
      })
      const found = []
      for await (const chunk of stream) if (chunk.usage) found.push(chunk.usage)
      return found
    }
    expect(await usages(true)).toMatchObject([{ prompt_tokens: 11, completion_tokens: 24 }])
    expect(await usages(false)).toEqual([])
  })

  test('a stop sequence ends the answer before it', async () => {
    const whole = await engine.client.chat.completions.create(asked)
    const text = whole.choices[0]?.message.content ?? ''
    const stop = text.slice(5, 8)
    const cut = await engine.client.chat.completions.create({ ...asked, stop: [stop] })
    expect(cut.choices[0]?.message.content).toBe(text.slice(0, text.indexOf(stop)))
    expect(cut.choices[0]?.finish_reason).toBe('stop')
  })

  test('a completion takes text or tokens, and adds no token of its own', async () => {
    const params = { model: 'tiny', temperature: 0, max_tokens: 8 }
    const text = await engine.client.completions.create({ ...params, prompt: 'ab c' })
    const tokens = await engine.client.completions.create({ ...params, prompt: [100, 101, 259, 102] })
    expect(text.usage?.prompt_tokens).toBe(4)
    expect(tokens.choices[0]?.text).toBe(text.choices[0]?.text)
    let streamed = ''
    for await (const chunk of await engine.client.completions.create({ ...params, prompt: 'ab c', stream: true })) {
      streamed += chunk.choices[0]?.text ?? ''
    }
    expect(streamed).toBe(text.choices[0]?.text)
  })

  test('an answer ends where the context does', async () => {
    const answer = await engine.client.completions.create({ model: 'tiny', prompt: 'x'.repeat(250), max_tokens: 50 })
    expect(answer.usage?.completion_tokens).toBe(6)
    expect(answer.choices[0]?.finish_reason).toBe('length')
  })

  test('embeddings are unit vectors, the same for the same text', async () => {
    const answer = await engine.client.embeddings.create({ model: 'tiny', input: ['one', 'two', 'one'] })
    const vectors = answer.data.map((item) => item.embedding)
    expect(vectors[0]).toHaveLength(64)
    expect(vectors[0]).toEqual(vectors[2])
    expect(vectors[0]).not.toEqual(vectors[1])
    expect(Math.hypot(...(vectors[0] ?? []))).toBeCloseTo(1, 5)
    const floats = await engine.client.embeddings.create({ model: 'tiny', input: 'one', encoding_format: 'float' })
    expect(floats.data[0]?.embedding[0]).toBeCloseTo(vectors[0]?.[0] ?? 0, 6)
  })

  test('the models list has the served name', async () => {
    expect((await engine.client.models.list()).data.map((model) => model.id)).toEqual(['tiny'])
  })

  test('errors say what was wrong', async () => {
    const chat = (extra: object) => engine.client.chat.completions.create({ ...asked, ...extra })
    await expect(chat({ n: 2 })).rejects.toMatchObject({ status: 400, param: 'n' })
    await expect(chat({ model: 'other' })).rejects.toMatchObject({ status: 404, code: 'model_not_found' })
    await expect(chat({ tools: [{ type: 'function' }] })).rejects.toMatchObject({ status: 400, param: 'tools' })
    await expect(chat({ messages: [{ role: 'user', content: 'x'.repeat(256) }] })).rejects.toMatchObject({
      status: 400,
      code: 'context_length_exceeded',
    })
    await expect(engine.client.completions.create({ model: 'tiny', prompt: [100, 260] })).rejects.toMatchObject({
      status: 400,
      param: 'prompt',
    })
    await expect(chat({ user: 'x'.repeat(5_000_000) })).rejects.toMatchObject({ status: 413 })
    expect((await fetch(`${engine.url}/v1/nothing`)).status).toBe(404)
    expect((await fetch(`${engine.url}/v1/completions`)).status).toBe(405)
    expect((await engine.status()).running).toBe(0)
  })
})

test('a chat template shapes the prompt', async () => {
  const template =
    "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}</{{ m['role'] }}>{% endfor %}" +
    '{% if add_generation_prompt %}<assistant>{% endif %}'
  const path = join(folder, 'template.gguf')
  writeFixture(path, { chatTemplate: template })
  const engine = await start(path)
  const messages = [
    { role: 'system' as const, content: 'be kind' },
    { role: 'user' as const, content: 'hi' },
  ]
  const answer = await engine.client.chat.completions.create({ ...asked, messages })
  expect(answer.usage?.prompt_tokens).toBe('<system>be kind</system><user>hi</user><assistant>'.length)
  engine.process.kill('SIGKILL')
})

describe('leaving', () => {
  test('a client that leaves frees its seat at once, streaming or not', async () => {
    const engine = await start(join(folder, 'long.gguf'), '--context', '60000', '--parallel', '1')
    const stream = await engine.client.chat.completions.create(endless)
    for await (const _ of stream) break // the client closes its connection here
    await until(engine, (status) => status.running === 0)
    const client = new AbortController()
    const whole = engine.client.chat.completions.create({ ...endless, stream: false }, { signal: client.signal })
    whole.catch(() => {})
    await until(engine, (status) => status.running === 1)
    client.abort()
    const { tokensGenerated } = await until(engine, (status) => status.running === 0)
    expect(tokensGenerated).toBeLessThan(59_000)
    expect((await engine.client.chat.completions.create(asked)).usage?.completion_tokens).toBe(24)
    engine.process.kill('SIGKILL')
  })

  test('requests wait in a bounded queue; one that leaves it is never run, one past it is refused', async () => {
    const engine = await start(join(folder, 'long.gguf'), '--context', '60000', '--parallel', '1', '--queue', '1')
    const stream = await engine.client.chat.completions.create(endless)
    const client = new AbortController()
    const waiting = engine.client.chat.completions.create(asked, { signal: client.signal })
    waiting.catch(() => {})
    await until(engine, (status) => status.queued === 1)
    await expect(engine.client.chat.completions.create(asked)).rejects.toMatchObject({
      status: 503,
      code: 'overloaded',
    })
    client.abort()
    await until(engine, (status) => status.queued === 0)
    const next = engine.client.chat.completions.create(asked)
    await until(engine, (status) => status.queued === 1)
    stream.controller.abort()
    expect((await next).usage?.completion_tokens).toBe(24)
    engine.process.kill('SIGKILL')
  })

  test('SIGTERM lets a running stream end, takes no new request, and exits with 0', async () => {
    const engine = await start(join(folder, 'long.gguf'), '--context', '60000')
    const tokens = 3000
    const stream = await engine.client.chat.completions.create({ ...endless, max_tokens: tokens })
    const exited = once(engine.process, 'exit')
    engine.process.kill('SIGTERM')
    let seen = 0
    let last: string | null | undefined
    for await (const chunk of stream) {
      seen += chunk.choices[0]?.delta.content?.length ?? 0
      last = chunk.choices[0]?.finish_reason
      if (seen === tokens / 2) await expect(fetch(`${engine.url}/health`)).rejects.toThrow()
    }
    expect([seen, last]).toEqual([tokens, 'length'])
    expect(await exited).toEqual([0, null])
  })

  test('a second SIGTERM ends it at once', async () => {
    const engine = await start(join(folder, 'long.gguf'), '--context', '60000')
    const stream = await engine.client.chat.completions.create(endless)
    const exited = once(engine.process, 'exit')
    engine.process.kill('SIGTERM')
    await refused(engine) // two signals in one moment would arrive as one
    engine.process.kill('SIGTERM')
    await expect(async () => {
      for await (const _ of stream);
    }).rejects.toThrow()
    expect(await exited).toEqual([1, null])
  })
})

describe('starting', () => {
  test('it answers 503 while the model loads, then 200', async () => {
    const child = spawn(process.execPath, [bin, 'llama.cpp', '--model', join(folder, 'long.gguf'), '--port', '0'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    running.add(child)
    const statuses: number[] = []
    for await (const line of createInterface({ input: child.stdout })) {
      const url = /http:\/\/[^,]+/.exec(line)?.[0]
      if (url === undefined) continue
      while (statuses.at(-1) !== 200) {
        statuses.push((await fetch(`${url}/health`)).status)
        if (statuses.length === 1) {
          const early = await fetch(`${url}/v1/completions`, { method: 'POST', body: '{}' })
          expect([early.status, early.headers.get('retry-after')]).toEqual([503, '1'])
        }
      }
      break
    }
    expect([...new Set(statuses)]).toEqual([503, 200])
    child.kill('SIGTERM')
    expect(await once(child, 'exit')).toEqual([0, null])
    running.delete(child)
  })

  test('a wrong command line is one sentence and exit code 2; a broken model is exit code 1', () => {
    const run = (...args: string[]) =>
      spawnSync(process.execPath, [bin, ...args], { encoding: 'utf8', timeout: 30_000 })
    const wrong = run('llama.cpp', '--model', folder, '--port', '0', '--parallel', 'many')
    expect(wrong.status).toBe(2)
    expect(run('vllm').stderr).toContain('llama.cpp')
    expect(run('llama.cpp', '--model', join(folder, 'none'), '--port', '0').stderr).toContain('no such file')
    const broken = join(folder, 'broken.gguf')
    const fixture = fixtureBytes()
    for (const bytes of ['hello', 'GGUF and then nonsense, so the counts are absurd', fixture.subarray(0, 300_000)]) {
      writeFileSync(broken, bytes)
      expect(run('llama.cpp', '--model', broken, '--port', '0').status).toBe(1)
    }
  })
})
