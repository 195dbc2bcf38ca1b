import { request } from 'node:http'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { seededRandom } from '../base/random.ts'
import type { Store } from '../store/contract.ts'
import { createMemoryStore } from '../store/memory/store.ts'
import { type Engine, json, startEngine } from './engine.fixture.ts'
import { type Bench, realClock, startBench } from './gateway.fixture.ts'

let bench: Bench
let engine: Engine
beforeEach(async () => {
  bench = await startBench()
  engine = await startEngine()
})
afterEach(async () => {
  await bench.close()
  await engine.stop()
})

const messages = [{ role: 'user' as const, content: 'hello' }]
const ask = (model = 'chat') => bench.openai.chat.completions.create({ model, messages })
const stream = (model = 'chat') => bench.openai.chat.completions.create({ model, messages, stream: true })

async function textOf(chunks: AsyncIterable<{ choices: { delta?: { content?: string | null } }[] }>): Promise<string> {
  let text = ''
  for await (const chunk of chunks) text += chunk.choices[0]?.delta?.content ?? ''
  return text
}

async function failureOf(
  asked: Promise<unknown>,
): Promise<{ status?: number; code?: string; message: string; headers?: Headers }> {
  try {
    await asked
  } catch (error) {
    if (error instanceof Error) return Object.assign(error)
  }
  throw new Error('it did not fail')
}

test('the official client gets models, a completion and embeddings, and the replica sees the model by its own name', async () => {
  await bench.serve('chat')
  await bench.serve('other', {}, 'team')
  await bench.replica('chat', 'r1', engine.port)
  const names = (await bench.openai.models.list()).data.map((model) => model.id)
  expect(names.sort()).toEqual(['chat', 'team/other'])
  expect((await bench.openai.models.retrieve('chat')).owned_by).toBe('millwright')
  const answer = await ask('default/chat')
  expect(answer.choices[0]?.message.content).toBe('a small answer')
  expect(engine.received[0]?.['model']).toBe('chat')
  expect(engine.headers[0]?.authorization).toBeUndefined()
  const embedded = await bench.openai.embeddings.create({ model: 'chat', input: 'x', encoding_format: 'float' })
  expect(embedded.data[0]?.embedding).toEqual([0.5, 1])
  const report = { promptTokens: 7, completionTokens: 3, requests: 2 }
  await bench.untilReport('chat', (status) => status.promptTokens === 7 && status.inFlight === 0)
  expect(await bench.report('chat')).toMatchObject(report)
})

test('a stream comes word by word; its usage is counted, and shown only to who asked', async () => {
  await bench.serve('chat')
  await bench.replica('chat', 'r1', engine.port)
  engine.allowed = 1
  const chunks = await stream()
  const seen: unknown[] = []
  for await (const chunk of chunks) {
    seen.push(chunk)
    if (seen.length === 1) engine.allow(2) // the first word was here before the second was said
  }
  expect(seen).toHaveLength(4)
  expect(engine.received[0]?.['stream_options']).toEqual({ include_usage: true })
  await bench.untilReport('chat', (status) => status.completionTokens === 3)
  engine.allow(3)
  const asked = await bench.openai.chat.completions.create({
    model: 'chat',
    messages,
    stream: true,
    stream_options: { include_usage: true },
  })
  let usage: unknown
  for await (const chunk of asked) usage = chunk.usage ?? usage
  expect(usage).toMatchObject({ prompt_tokens: 5, completion_tokens: 3 })
})

test('errors have the shape that the official client reads', async () => {
  expect(await failureOf(ask('nothing'))).toMatchObject({ status: 404, code: 'model_not_found' })
  expect(await failureOf(bench.openai.post('/chat/completions', { body: { messages } }))).toMatchObject({ status: 400 })
  expect(await failureOf(bench.openai.get('/nowhere'))).toMatchObject({ status: 404, code: 'unknown_url' })
  await bench.serve('off', { suspend: true })
  expect(await failureOf(ask('off'))).toMatchObject({ status: 503, code: 'service_suspended' })
  await bench.serve('chat')
  await bench.replica('chat', 'r1', engine.port)
  engine.next = (_request, response) => json(response, { error: { message: 'too long', code: 'ctx' } }, 400)
  expect(await failureOf(ask())).toMatchObject({
    status: 400,
    code: 'ctx',
    message: expect.stringContaining('too long'),
  })
  expect((await ask()).choices).toHaveLength(1) // an error answer took nothing out
})

test('requests to a service at zero are held, reported at once, and answered by the first replica', async () => {
  await bench.serve('chat', { minReplicas: 0 })
  const asked = [ask(), ask(), ask()]
  await bench.untilReport('chat', (status) => (status.held ?? 0) > 0)
  expect((await bench.report('chat'))?.heldSinceMs).toBeGreaterThan(0)
  await bench.replica('chat', 'r1', engine.port)
  const texts = (await Promise.all(asked)).map((answer) => answer.choices[0]?.message.content)
  expect(texts).toEqual(['a small answer', 'a small answer', 'a small answer'])
  expect(engine.received).toHaveLength(3)
})

test('a held request whose client leaves is forgotten, in the report too', async () => {
  await bench.serve('chat', { minReplicas: 0 })
  const leaving = new AbortController()
  const asked = bench.openai.chat.completions.create({ model: 'chat', messages }, { signal: leaving.signal })
  await bench.untilReport('chat', (status) => status.held === 1)
  leaving.abort()
  await failureOf(asked)
  await bench.untilReport('chat', (status) => status.held === 0)
  expect((await bench.report('chat'))?.heldSinceMs).toBeUndefined()
})

test('a client that leaves cancels the engine: before the first byte, in mid-stream, and without streaming', async () => {
  await bench.serve('chat')
  await bench.replica('chat', 'r1', engine.port)
  engine.allowed = 0
  for (const streams of [true, false]) {
    const leaving = new AbortController()
    const body = { model: 'chat', messages, stream: streams }
    const asked = bench.openai.post('/chat/completions', { body, signal: leaving.signal, stream: streams })
    asked.catch(() => {})
    const before = engine.cancelled
    await engine.until(() => engine.active === 1)
    leaving.abort()
    await engine.until(() => engine.cancelled === before + 1 && engine.active === 0)
  }
  engine.allow(1)
  const chunks = await stream()
  const before = engine.cancelled
  for await (const _ of chunks) break // the client's own way to leave
  await engine.until(() => engine.cancelled === before + 1 && engine.active === 0)
  await bench.untilReport('chat', (status) => status.inFlight === 0 && status.perReplica?.['r1'] === 0)
})

test('a replica that dies in mid-stream ends the stream with an error, and the next request goes elsewhere', async () => {
  await bench.serve('chat')
  await bench.replica('chat', 'r1', engine.port)
  engine.allowed = 1
  const chunks = await stream()
  let words = 0
  const failed = failureOf(
    (async () => {
      for await (const _ of chunks) {
        words++
        await engine.crash()
      }
    })(),
  )
  expect((await failed).message).toMatch(/broke off|terminated|other side/)
  expect(words).toBe(1)
  const second = await startEngine()
  await bench.replica('chat', 'r2', second.port)
  for (let i = 0; i < 4; i++) expect((await ask()).choices[0]?.message.content).toBe('a small answer')
  expect(second.received).toHaveLength(4)
  await second.stop()
})

test('a stream that ends without [DONE] is an error, never a short answer', async () => {
  await bench.serve('chat')
  await bench.replica('chat', 'r1', engine.port)
  engine.next = (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.end('data: {"choices":[{"index":0,"delta":{"content":"half"}}]}\n\n')
  }
  expect((await failureOf(stream().then(textOf))).message).toContain('[DONE]')
})

test('a replica that answers no connection costs a request nothing; a dead kept connection neither', async () => {
  await bench.serve('chat')
  const dead = await startEngine()
  await dead.stop()
  await bench.replica('chat', 'dead', dead.port)
  await bench.replica('chat', 'r1', engine.port)
  for (let i = 0; i < 5; i++) expect((await ask()).choices).toHaveLength(1)
  await bench.remove('dead')
  // A kept connection that the other side closes while the request is on its way, without a byte of an answer.
  engine.next = (request) => request.socket.destroy()
  expect((await ask()).choices).toHaveLength(1)
  expect(engine.received).toHaveLength(7)
  // On a new connection the same is an error: the engine may have worked on it.
  const fresh = await startEngine()
  await bench.remove('r1')
  await bench.replica('chat', 'r2', fresh.port)
  fresh.next = (request) => request.socket.destroy()
  expect(await failureOf(ask())).toMatchObject({ status: 500, code: 'replica_failed' })
  await fresh.stop()
})

test('a request that breaks off is not sent again on what else is kept to its replica', async () => {
  await bench.serve('chat')
  await bench.replica('chat', 'r1', engine.port)
  engine.allowed = 0
  const both = [ask(), ask()]
  await engine.until(() => engine.active === 2)
  engine.allow(6)
  await Promise.all(both) // two connections are kept now
  engine.next = (request) => request.socket.destroy()
  engine.allow(3)
  await ask()
  expect(engine.connections).toBe(3)
})

test('a pod that is leaving gets nothing new, and its streams run to their end', async () => {
  await bench.serve('chat')
  await bench.replica('chat', 'r1', engine.port)
  engine.allowed = 1
  const chunks = await stream()
  const second = await startEngine()
  await bench.replica('chat', 'r2', second.port)
  await bench.drain('r1')
  for (let i = 0; i < 3; i++) await ask()
  expect(second.received).toHaveLength(3)
  await bench.remove('r1') // even the pod's end in the store cuts nothing
  engine.allow(2)
  expect(await textOf(chunks)).toBe('a small answer')
  await second.stop()
})

test('streams of a deleted service run to their end, and the report of who has its name next stays as it is', async () => {
  const ref = { name: 'chat', namespace: 'default' }
  await bench.serve('chat')
  await bench.replica('chat', 'r1', engine.port)
  engine.allowed = 1
  const chunks = await stream()
  await bench.store.delete('InferenceService', ref)
  await bench.drain('r1') // as what is owned goes
  await bench.store.delete('Report', { ...ref, name: 'service.chat' })
  await bench.serve('chat')
  const second = await startEngine()
  await bench.replica('chat', 'r2', second.port)
  await ask()
  await bench.untilReport(
    'chat',
    (status) => status.requests === 1 && status.inFlight === 0 && status.concurrency === 0,
  )
  const before = await bench.store.get('Report', { ...ref, name: 'service.chat' })
  engine.allow(2)
  expect(await textOf(chunks)).toBe('a small answer')
  await ask()
  await bench.untilReport('chat', (status) => status.requests === 2)
  const after = await bench.store.get('Report', { ...ref, name: 'service.chat' })
  expect(after?.metadata.uid).toBe(before?.metadata.uid)
  await second.stop()
})

test('a service made again under its name is not served by what is left of the one before', async () => {
  await bench.serve('chat')
  await bench.replica('chat', 'r1', engine.port)
  await ask()
  await bench.store.delete('InferenceService', { name: 'chat', namespace: 'default' })
  await bench.serve('chat')
  const asked = ask()
  await bench.untilReport('chat', (status) => status.held === 1)
  const second = await startEngine()
  await bench.replica('chat', 'r2', second.port)
  await asked
  expect([engine.received.length, second.received.length]).toEqual([1, 1])
  await second.stop()
})

test('closing cuts what still streams of a deleted service', async () => {
  await bench.serve('chat')
  await bench.replica('chat', 'r1', engine.port)
  engine.allowed = 1
  const text = textOf(await stream()).catch(() => 'cut')
  await bench.store.delete('InferenceService', { name: 'chat', namespace: 'default' })
  await bench.gateway.close(100)
  expect(await text).toBe('cut')
  bench.gateway.close = async () => {}
})

test('load is spread by what is under way now', async () => {
  const second = await startEngine()
  await bench.serve('chat', { target: 8 })
  await bench.replica('chat', 'r1', engine.port)
  await bench.replica('chat', 'r2', second.port)
  engine.allowed = 0
  second.allowed = 0
  const asked = Array.from({ length: 8 }, () => ask())
  await Promise.all([engine.until(() => engine.active === 4), second.until(() => second.active === 4)])
  engine.allow(100)
  second.allow(100)
  await Promise.all(asked)
  await second.stop()
})

test('more than a replica should take waits in the gateway, in order', async () => {
  await bench.close()
  bench = await startBench({ limits: { targetFactor: 1 } })
  await bench.serve('chat', { target: 2 })
  await bench.replica('chat', 'r1', engine.port)
  engine.allowed = 0
  const asked = Array.from({ length: 5 }, () => ask())
  await bench.untilReport('chat', (status) => status.inFlight === 2 && status.held === 3)
  expect(engine.active).toBe(2)
  engine.allow(100)
  expect(await Promise.all(asked)).toHaveLength(5)
})

test('what is held is bounded in number, bytes and time', async () => {
  await bench.close()
  bench = await startBench({ limits: { held: 1, heldBytes: 5000, heldMs: 300, bodyBytes: 10_000 } })
  await bench.serve('chat', { minReplicas: 0 })
  const big = [{ role: 'user' as const, content: 'x'.repeat(6000) }]
  expect(await failureOf(bench.openai.chat.completions.create({ model: 'chat', messages: big }))).toMatchObject({
    status: 429,
  })
  const held = failureOf(ask())
  await bench.untilReport('chat', (status) => status.held === 1)
  const second = await failureOf(ask())
  expect(second).toMatchObject({ status: 429, code: 'too_many_held' })
  expect(second.headers?.get('retry-after')).toBe('5')
  expect(await held).toMatchObject({ status: 503, code: 'no_replica' })
  const huge = [{ role: 'user' as const, content: 'x'.repeat(20_000) }]
  expect(await failureOf(bench.openai.chat.completions.create({ model: 'chat', messages: huge }))).toMatchObject({
    status: 413,
  })
})

test('a request may take no longer than the service says', async () => {
  await bench.serve('chat', { timeoutSeconds: 0.2 })
  await bench.replica('chat', 'r1', engine.port)
  engine.allowed = 0
  expect(await failureOf(ask())).toMatchObject({ status: 504, code: 'timeout' })
  await engine.until(() => engine.cancelled === 1)
})

test('with API keys nothing is answered without one of them', async () => {
  await bench.close()
  bench = await startBench({ apiKeys: ['first-key', 'second-key'] })
  await bench.serve('chat')
  await bench.replica('chat', 'r1', engine.port)
  expect(await failureOf(ask())).toMatchObject({ status: 401, code: 'invalid_api_key' })
  const keyed = bench.openai.withOptions({ apiKey: 'second-key' })
  expect((await keyed.models.list()).data).toHaveLength(1)
  expect((await rawGet('/healthz')).status).toBe(200)
})

test('a page of a stranger cannot reach it through a name that resolves here', async () => {
  expect((await rawGet('/v1/models', { host: 'evil.example:80' })).status).toBe(403)
  expect((await rawGet('/v1/models', { origin: 'http://evil.example' })).status).toBe(403)
  expect((await rawGet('/v1/models', { host: 'localhost:1', origin: 'http://127.0.0.1:9' })).status).toBe(200)
  expect((await rawGet('/readyz')).status).toBe(200)
})

test('what is no request is answered in the same shape', async () => {
  const large = await rawGet('/v1/models', { 'x-large': 'x'.repeat(20_000) })
  expect(large).toMatchObject({ status: 431, body: expect.stringContaining('"invalid_request_error"') })
  expect(await rawGet('/v1/chat/completions')).toMatchObject({ status: 405 })
})

test('a body that is no JSON, or nested too deep to be written anew, ends its own request alone', async () => {
  await bench.serve('chat')
  await bench.replica('chat', 'r1', engine.port)
  const post = (body: string) => fetch(`${bench.gateway.url}/v1/chat/completions`, { method: 'POST', body })
  const notJson = ['{"model":"default/chat","n":NaN}', '{"model":"chat","stream":true,"stream_options":{},"n":NaN}']
  for (const body of notJson) expect((await post(body)).status).toBe(400)
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
  expect((await post(`{"model":"default/chat","n":${deep}}`)).status).toBe(500)
  expect((await post('\uFEFF{"model":"default/chat"}')).status).toBe(200)
})

test('reports are written at most once a second, and not at all while nothing happens', async () => {
  await bench.close()
  bench = await startBench({ limits: { reportMs: 500 } })
  await bench.serve('chat')
  await bench.replica('chat', 'r1', engine.port)
  for (let i = 0; i < 40; i++) await ask()
  await bench.untilReport('chat', (status) => status.requests === 40 && status.requestsPerSecond === 0)
  expect(bench.reportWrites()).toBeLessThanOrEqual(5)
})

test('a service that is known to be broken answers at once with its own words, and so do those that wait for it', async () => {
  const made = await bench.serve('chat')
  const tell = (status: 'True' | 'False', reason: string, message?: string, observedGeneration = 1) =>
    bench.store.patch(
      'InferenceService',
      { name: 'chat', namespace: 'default' },
      { status: { conditions: [{ type: 'Ready', status, reason, observedGeneration }], message: message ?? null } },
      { status: true },
    )
  expect(made.metadata.generation).toBe(1)
  const held = failureOf(ask())
  await bench.untilReport('chat', ({ held }) => held === 1)
  await tell('False', 'CrashLoop', 'chat-0 failed 3 times in a row: exit code 1')
  const failed = { status: 503, code: 'service_failed', type: 'server_error' }
  const words =
    /chat cannot answer: chat-0 failed 3 times in a row: exit code 1\. See: millwright describe service chat\./
  expect(await held).toMatchObject({ ...failed, message: expect.stringMatching(words) })
  expect(await failureOf(ask())).toMatchObject({ ...failed, message: expect.stringMatching(words) })
  await tell('False', 'ProgressDeadlineExceeded')
  const late = 'no replica became ready within progressDeadlineSeconds: 120'
  expect(await failureOf(ask())).toMatchObject({ ...failed, message: expect.stringContaining(late) })

  // What was said of an older spec is no reason to give up; a replica that is there answers, whatever is said.
  await tell('False', 'CrashLoop', 'failed', 0)
  const hopes = ask()
  await bench.untilReport('chat', ({ held }) => held === 1)
  await bench.replica('chat', 'r1', engine.port)
  expect((await hopes).choices).toHaveLength(1)
  await tell('False', 'CrashLoop', 'failed')
  expect((await ask()).choices).toHaveLength(1)

  await bench.serve('off', { minReplicas: 0 })
  const waits = failureOf(ask('off'))
  await bench.untilReport('off', ({ held }) => held === 1)
  await bench.store.patch('InferenceService', { name: 'off', namespace: 'default' }, { spec: { suspend: true } })
  expect(await waits).toMatchObject({ status: 503, code: 'service_suspended' })
})

test('where the port is taken it says which flag to change, and nothing goes on following the store', async () => {
  const store = createMemoryStore({ clock: realClock, random: seededRandom(1) })
  let watches = 0
  const watch: Store['watch'] = (...asked) => {
    watches++
    return store.watch(...asked)
  }
  const port = Number(new URL(bench.gateway.url).port)
  await expect(startBench({ store: { ...store, watch }, port })).rejects.toThrow(
    `port ${port} on 127.0.0.1 is taken; choose another with --gateway-port, or 0 for a free one`,
  )
  expect(watches).toBe(0)
  await store.close()
})

test('closing lets streams end within the grace, refuses what is new, and answers what waits', async () => {
  await bench.serve('chat')
  await bench.serve('cold', { minReplicas: 0 })
  await bench.replica('chat', 'r1', engine.port)
  engine.allowed = 1
  const chunks = await stream()
  const held = failureOf(ask('cold'))
  await bench.untilReport('cold', (status) => status.held === 1)
  const closed = bench.gateway.close(10_000)
  expect(await held).toMatchObject({ status: 503 })
  engine.allow(2)
  expect(await textOf(chunks)).toBe('a small answer')
  await closed
  await failureOf(ask())
  bench.gateway.close = async () => {}
})

function rawGet(
  path: string,
  headers: Record<string, string> = {},
): Promise<{ status: number | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(`${bench.gateway.url}${path}`, { headers }, (response) => {
      let body = ''
      response.on('data', (part) => {
        body += part
      })
      response.on('end', () => resolve({ status: response.statusCode, body }))
    })
    sent.on('error', reject)
    sent.end()
  })
}
