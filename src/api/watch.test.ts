import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { trainingJob } from '../model/kinds/training-job.ts'
import { job, startTestApi, type TestApi, token } from './test-api.ts'

const jobs = '/apis/millwright.dev/v1alpha1/namespaces/default/trainingjobs'

const asTable = 'application/json;as=Table;v=v1;g=meta.k8s.io'

let at: TestApi
beforeEach(async () => {
  at = await startTestApi({ history: 5 })
})
afterEach(() => at.close())

interface Line {
  type: string
  object: {
    kind: string
    code?: number
    metadata: { name: string; resourceVersion?: string; annotations?: object }
    rows?: unknown[]
  }
}

/** The lines of a watch, one at a time. */
const lines = (query: string, accept?: string) => linesOf(at, query, accept)

async function* linesOf(
  { api }: TestApi,
  query: string,
  accept = 'application/json',
  path = jobs,
): AsyncGenerator<Line> {
  const headers = { authorization: `Bearer ${token}`, accept }
  const response = await fetch(`${api.url}${path}?watch=1&${query}`, { headers })
  let rest = ''
  for await (const chunk of response.body ?? []) {
    const parts = (rest + Buffer.from(chunk).toString()).split('\n')
    rest = parts.pop() ?? ''
    for (const part of parts) yield JSON.parse(part)
  }
}

async function take<T>(from: AsyncIterator<T>, count: number): Promise<T[]> {
  const taken: T[] = []
  while (taken.length < count) {
    const next = await from.next()
    if (next.done === true) break
    taken.push(next.value)
  }
  return taken
}

const said = (events: Line[]) => events.map(({ type, object }) => `${type} ${object.metadata.name}`)

describe('a watch', () => {
  it('begins with what is there, then tells every change', async () => {
    await at.client.create('TrainingJob', job('a'))
    const watch = lines('')
    expect(said(await take(watch, 1))).toEqual(['ADDED a'])
    await at.client.patch('TrainingJob', { name: 'a' }, { spec: { priority: 1 } })
    await at.client.delete('TrainingJob', { name: 'a' })
    expect(said(await take(watch, 2))).toEqual(['MODIFIED a', 'DELETED a'])
    await watch.return(undefined)
  })

  it('goes on from a revision, and tells only what its selector names', async () => {
    const { resourceVersion } = await at.client.list('TrainingJob')
    await at.client.create('TrainingJob', job('a'))
    await at.client.create('TrainingJob', job('b'))
    const watch = lines(`resourceVersion=${resourceVersion}&fieldSelector=metadata.name%3Db`)
    expect(said(await take(watch, 1))).toEqual(['ADDED b'])
    await watch.return(undefined)
  })

  it('says 410 and ends where the past is no longer kept', async () => {
    const { resourceVersion } = await at.client.list('TrainingJob')
    for (let i = 0; i < 10; i++) await at.client.create('TrainingJob', job(`j${i}`))
    const events = await take(lines(`resourceVersion=${resourceVersion}`), 5)
    expect(events).toMatchObject([{ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } }])
  })

  it('refuses a revision that is none', async () => {
    expect((await at.ask('GET', `${jobs}?watch=1&resourceVersion=yesterday`)).body).toMatchObject({
      kind: 'Status',
      code: 400,
    })
  })

  it('ends when its time is up, with a bookmark for who wants one', async () => {
    await at.client.create('TrainingJob', job('a'))
    const watch = lines('allowWatchBookmarks=true&timeoutSeconds=60')
    const [first] = await take(watch, 1)
    await at.clock.advance(60_000)
    expect(await take(watch, 5)).toMatchObject([
      { type: 'BOOKMARK', object: { kind: 'TrainingJob', metadata: { resourceVersion: expect.any(String) } } },
    ])
    expect(first?.type).toBe('ADDED')
    expect(at.clock.pending).toBe(0)
  })

  it('marks where the initial events end for who asks for them in the stream', async () => {
    await at.client.create('TrainingJob', job('a'))
    const watch = lines('sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan')
    const events = await take(watch, 2)
    expect(events.map((event) => event.type)).toEqual(['ADDED', 'BOOKMARK'])
    expect(events[1]?.object.metadata.annotations).toEqual({ 'k8s.io/initial-events-end': 'true' })
    await watch.return(undefined)
  })

  it('ends, and nothing else does, when there is something that cannot be shown', async () => {
    const pages = '/apis/millwright.dev/v1alpha1/ledgerpages'
    const page = (name: string, fromMs: number) =>
      at.store.create('LedgerPage', {
        apiVersion: 'millwright.dev/v1alpha1',
        kind: 'LedgerPage',
        metadata: { name },
        spec: { node: 'n', pool: 'p', accelerator: 'cpu', fromMs },
      })
    await page('a', 0)
    const [rows, whole] = [linesOf(at, '', asTable, pages), linesOf(at, '', undefined, pages)]
    expect((await take(rows, 1)).concat(await take(whole, 1)).map(({ type }) => type)).toEqual(['ADDED', 'ADDED'])
    await page('of-no-time', 1e20)
    await page('b', 0)
    expect(await take(rows, 2)).toMatchObject([{ type: 'ERROR', object: { kind: 'Status', code: 500 } }])
    expect(said(await take(whole, 2))).toEqual(['ADDED of-no-time', 'ADDED b'])
    await whole.return(undefined)
  })

  it('comes as rows of a table for who wants one', async () => {
    await at.client.create('TrainingJob', job('a'))
    const watch = lines('', asTable)
    expect(await take(watch, 1)).toMatchObject([
      {
        type: 'ADDED',
        object: {
          kind: 'Table',
          rows: [{ cells: ['a', 'Pending', 2, null, '-', 0, '-', '0s', 'default', '-', '-', '-'] }],
        },
      },
    ])
    await watch.return(undefined)
  })
})

describe('the client', () => {
  it('watches on across an expired history and tells what it missed', async () => {
    await at.client.create('TrainingJob', job('a'))
    await at.client.create('TrainingJob', job('b'))
    const stop = new AbortController()
    // A server whose first watch breaks off, and whose second begins too late.
    const real = at.client
    const { createClient } = await import('./client.ts')
    const { nodeTransport } = await import('./transport.ts')
    const wire = nodeTransport(at.api.url)
    let watches = 0
    const flaky = createClient({
      server: at.api.url,
      token,
      transport: {
        close: () => wire.close(),
        async send(request) {
          if (!request.path.includes('watch=1') || ++watches > 1) return wire.send(request)
          await real.delete('TrainingJob', { name: 'a' })
          for (let i = 0; i < 10; i++) await real.patch('TrainingJob', { name: 'b' }, { spec: { priority: i + 1 } })
          await real.create('TrainingJob', job('c'))
          return { status: 200, body: (async function* () {})() }
        },
      },
    })
    const watch = flaky.watch('TrainingJob', { namespace: 'default' }, stop.signal)[Symbol.asyncIterator]()
    const events = await take(watch, 5)
    expect(events.map(({ type, object }) => `${type} ${object.metadata.name}`)).toEqual([
      'ADDED a',
      'ADDED b',
      'MODIFIED b',
      'ADDED c',
      'DELETED a',
    ])
    stop.abort()
    expect(await watch.next()).toMatchObject({ done: true })
    flaky.close()
  })

  describe('with more to catch up on than a watch lets pile up', () => {
    const count = 40
    const big = (index: number) => job(`j${index}`, { command: Array(10).fill('x'.repeat(100_000)) })
    let far: TestApi
    beforeEach(async () => {
      far = await startTestApi()
      for (let i = 0; i < count; i++) await far.store.create('TrainingJob', trainingJob.parse(big(i)))
    })
    afterEach(() => far.close())
    const names = (events: { object: { metadata: { name: string } } }[]) =>
      events.map(({ object }) => object.metadata.name)
    const all = Array.from({ length: count }, (_, i) => `j${i}`)

    it('gets there in several watches', async () => {
      const stop = new AbortController()
      const watch = far.client.watch('TrainingJob', { from: '1' }, stop.signal)[Symbol.asyncIterator]()
      expect(names(await take(watch, count))).toEqual(all)
      stop.abort()
    })

    it('gets what is there already in one', async () => {
      const lines = linesOf(far, 'timeoutSeconds=60')
      expect(names(await take(lines, count)).sort()).toEqual([...all].sort())
      await lines.return(undefined)
    })
  })

  it('says who does not listen', async () => {
    await at.api.close()
    await expect(at.client.list('Pod')).rejects.toThrow('start the factory with `millwright up`')
  })

  it('throws what trying again cannot mend', async () => {
    const watch = at.client.watch('Pod', { labels: 'a in' })[Symbol.asyncIterator]()
    await expect(watch.next()).rejects.toMatchObject({ code: 400 })
  })
})
