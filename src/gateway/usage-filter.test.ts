import fc from 'fast-check'
import { expect, test } from 'vitest'
import { upstreamBody } from './exchange.ts'
import { hostAllowed, keyCheck, originAllowed } from './guard.ts'
import { UsageFilter } from './usage-filter.ts'

const word = (text: string) => `data: ${JSON.stringify({ choices: [{ delta: { content: text } }], usage: null })}\n\n`
const usage = 'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}\n\n'
const first = 'data: {"choices": [], "prompt_filter_results": []}\n\n'

test('however a stream is cut, only the usage event is taken out of it', () => {
  const events = [first, word('a "choices":[] b'), ': ping\n\n', word('ü'), usage, 'data: [DONE]\n\n']
  for (const ends of ['\n', '\r\n']) {
    const all = Buffer.from(events.join('').replaceAll('\n', ends))
    const expected = events
      .filter((event) => event !== usage)
      .join('')
      .replaceAll('\n', ends)
    fc.assert(
      fc.property(fc.array(fc.nat(all.length), { maxLength: 12 }), (cuts) => {
        const filter = new UsageFilter()
        const places = [0, ...cuts.sort((a, b) => a - b), all.length]
        const parts = places.slice(1).map((to, i) => filter.push(Buffer.from(all.subarray(places[i], to))))
        expect(Buffer.concat([...parts, filter.flush()]).toString()).toBe(expected)
      }),
      { numRuns: 100 },
    )
  }
})

test('whole events pass at once, and half of one at the end is not lost', () => {
  const filter = new UsageFilter()
  expect(filter.push(Buffer.from(word('a'))).toString()).toBe(word('a'))
  expect(filter.push(Buffer.from('data: {"half"')).length).toBe(0)
  expect(filter.flush().toString()).toBe('data: {"half"')
})

test('the body is passed on as it is unless the model has another name or usage must be asked for', () => {
  const glance = { model: 'chat', stream: false, includeUsage: false, maxTokens: undefined }
  const plain = Buffer.from(' {"model":"chat","seed":12345678901234567890}')
  expect(upstreamBody(plain, glance, 'chat')?.body).toBe(plain)
  const streamed = upstreamBody(plain, { ...glance, stream: true }, 'chat')
  expect(streamed?.usageAdded).toBe(true)
  expect(Buffer.from(streamed?.body ?? '').toString()).toBe(
    ' {"stream_options":{"include_usage":true},"model":"chat","seed":12345678901234567890}',
  )
  const options = Buffer.from('{"model":"team/chat","stream":true,"stream_options":{"a":1}}')
  const merged = upstreamBody(options, { ...glance, model: 'team/chat', stream: true }, 'chat')
  expect(JSON.parse(Buffer.from(merged?.body ?? '').toString())).toEqual({
    model: 'chat',
    stream: true,
    stream_options: { a: 1, include_usage: true },
  })
})

test('keys, hosts and origins', () => {
  const fits = keyCheck(['k1', 'k2'])
  expect([fits('Bearer k2'), fits('bearer  k1'), fits('Bearer k'), fits('k1'), fits(undefined)]).toEqual([
    true,
    true,
    false,
    false,
    false,
  ])
  expect(keyCheck(undefined)(undefined)).toBe(true)
  for (const host of ['localhost', 'localhost:80', '127.0.0.1:1', '[::1]:9', '10.1.2.3', 'a.localhost', 'gw.lan:7071'])
    expect(hostAllowed(host, ['gw.lan'])).toBe(true)
  for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.evil', 'a@localhost', '', undefined])
    expect(hostAllowed(host, ['gw.lan'])).toBe(false)
  expect(originAllowed(undefined, [])).toBe(true)
  expect(originAllowed('null', [])).toBe(false)
  expect(originAllowed('http://localhost:3000', [])).toBe(true)
})
