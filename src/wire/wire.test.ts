import { describe, expect, test } from 'vitest'
import { WireFailure } from './errors.ts'
import { glanceAt } from './glance.ts'
import { chatRequest, completionRequest, parseRequest, stopsOf, textOf } from './requests.ts'
import { usageOf } from './responses.ts'
import { doneEvent, encodeEvent, SseParser } from './sse.ts'
import { TailReader, usageOfBody } from './tail.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const json = (value: unknown) => bytes(JSON.stringify(value))

describe('requests', () => {
  const failure = (value: unknown) => {
    try {
      parseRequest(chatRequest, json(value))
    } catch (error) {
      if (error instanceof WireFailure) return error.answer
    }
    throw new Error('parsed')
  }

  test('unknown fields are kept, and null counts as left out', () => {
    const request = parseRequest(
      chatRequest,
      json({ model: 'm', messages: [{ role: 'user', content: 'hi', name: 'x' }], temperature: null, new_field: 1 }),
    )
    expect(request.temperature).toBeUndefined()
    expect(request['new_field']).toBe(1)
  })

  test('an error names the field, also inside a list', () => {
    const answer = failure({
      model: 'm',
      messages: [
        { role: 'user', content: 'a' },
        { role: 'wizard', content: 'b' },
      ],
    })
    expect(answer.status).toBe(400)
    expect(answer.body.error).toMatchObject({ type: 'invalid_request_error', param: 'messages[1].role' })
  })

  test('numbers have bounds', () => {
    const messages = [{ role: 'user', content: 'hi' }]
    for (const [field, value] of Object.entries({ temperature: 3, max_tokens: 0, top_p: -0.1, n: 0, stop: [''] })) {
      expect(failure({ model: 'm', messages, [field]: value }).body.error.param).toMatch(field)
    }
  })

  test.each<[object, string, string | null]>([
    [{ temperature: 9 }, 'temperature must be at most 2, found 9.', 'temperature'],
    [{ temperature: 'hot' }, 'temperature must be a number, found "hot".', 'temperature'],
    [{ max_tokens: 0 }, 'max_tokens must be at least 1, found 0.', 'max_tokens'],
    [{ max_tokens: 1.5 }, 'max_tokens must be a whole number, found 1.5.', 'max_tokens'],
    [{ messages: undefined }, 'messages is required.', 'messages'],
    [{ messages: null }, 'messages must be a list, found null.', 'messages'],
    [{ messages: [] }, 'messages must not be empty.', 'messages'],
    [{ messages: ['hi'] }, 'messages[0] must be an object, found "hi".', 'messages[0]'],
    [{ messages: [{ content: 'hi' }] }, 'messages[0].role is required.', 'messages[0].role'],
    [
      { messages: [{ role: 'wizard' }] },
      'messages[0].role must be "system", "developer", "user", "assistant", "tool" or "function", found "wizard".',
      'messages[0].role',
    ],
    [
      { messages: [{ role: 'user', content: 7 }] },
      'messages[0].content must be a string or a list, found 7.',
      'messages[0].content',
    ],
    [
      { messages: [{ role: 'user', content: [{ text: 'hi' }] }] },
      'messages[0].content[0].type is required.',
      'messages[0].content[0].type',
    ],
    [{ stream: 'yes' }, 'stream must be true or false, found "yes".', 'stream'],
    [{ stop: [''] }, 'stop[0] must not be empty.', 'stop[0]'],
    [{ stop: Array(17).fill('x') }, 'stop must have at most 16 entries, found 17.', 'stop'],
    [{ stop: 3 }, 'stop must be a string or a list, found 3.', 'stop'],
    [{ model: 'x'.repeat(600) }, 'model must have at most 512 characters, found 600.', 'model'],
    [{ user: ['x'] }, 'user must be a string, found a list.', 'user'],
  ])('%j: %s', (wrong, message, param) => {
    const { error } = failure({ model: 'm', messages: [{ role: 'user', content: 'hi' }], ...wrong }).body
    const code = message.endsWith('is required.') ? 'missing_required_parameter' : 'invalid_value'
    expect(error).toEqual({ type: 'invalid_request_error', message, param, code })
  })

  test('a prompt is text or tokens; what is no object at all is said', () => {
    const said = (value: unknown) => {
      try {
        return parseRequest(completionRequest, json(value))
      } catch (error) {
        return error instanceof WireFailure ? error.answer.body.error.message : error
      }
    }
    expect(said({ model: 'm' })).toBe('prompt is required.')
    expect(said({ model: 'm', prompt: true })).toBe('prompt must be a string or a list, found true.')
    expect(said({ model: 'm', prompt: [-1] })).toBe('prompt[0] must be at least 0, found -1.')
    expect(said({ model: 'm', prompt: [{}] })).toBe('prompt[0] must be a string, a number or a list, found an object.')
    expect(said({ model: 'm', prompt: [] })).toBe('prompt must not be empty.')
    expect(said([])).toBe('The request body must be a JSON object.')
  })

  test('bytes that are not JSON are a 400', () => {
    expect(() => parseRequest(completionRequest, bytes('{'))).toThrow(WireFailure)
    expect(() => parseRequest(completionRequest, new Uint8Array([0x22, 0xff, 0x22]))).toThrow(WireFailure)
  })

  test('text parts are joined; anything but text is undefined', () => {
    const text = (part: string) => ({ type: 'text', text: part })
    expect(textOf({ role: 'user', content: [text('a'), text('b')] })).toBe('ab')
    expect(textOf({ role: 'user', content: [{ type: 'image_url' }] })).toBeUndefined()
    expect(textOf({ role: 'assistant', content: null })).toBe('')
    expect(stopsOf({ stop: 'x' })).toEqual(['x'])
  })
})

describe('a glance at the body', () => {
  test('reads what a gateway needs, past nested fields that look the same', () => {
    const request = {
      messages: [{ role: 'user', content: 'say "model": "evil", {[}] \\' }],
      metadata: { model: 'inner', stream: true, deep: [[{ max_tokens: 1 }]] },
      model: 'outer/näme',
      max_tokens: 5,
      max_completion_tokens: 7,
      stream: true,
      stream_options: { include_usage: true },
    }
    const wanted = { model: 'outer/näme', stream: true, includeUsage: true, maxTokens: 7 }
    expect(glanceAt(json(request))).toEqual(wanted)
    expect(glanceAt(bytes(JSON.stringify(request, null, 2)))).toEqual(wanted)
  })

  test('agrees with JSON.parse on repeated, escaped and missing keys', () => {
    expect(glanceAt(bytes('{"model":"a","model":"b"}'))?.model).toBe('b')
    expect(glanceAt(bytes('{"\\u006dodel":"a\\"b"}'))?.model).toBe('a"b')
    expect(glanceAt(bytes(' {} '))).toEqual({
      model: undefined,
      stream: false,
      includeUsage: false,
      maxTokens: undefined,
    })
  })

  test.each(['', '[]', '"x"', '{', '{"model"}', '{"model":1}', '{"stream":"yes"}', '{"model":"a"} x', '{"a":"', '{,}'])(
    'gives up on %s',
    (text) => {
      expect(glanceAt(bytes(text))).toBeUndefined()
    },
  )
})

describe('server-sent events', () => {
  const stream = ['{"a":"ü\\n€"}', '{"b":2}', '[DONE]'].map((data) => `data: ${data}\n\n`).join('')

  test('an event is the same wherever the bytes are cut, and whatever ends the lines', () => {
    for (const text of [stream, stream.replaceAll('\n', '\r\n'), stream.replaceAll('\n', '\r')]) {
      const whole = bytes(text)
      for (let cut = 0; cut <= whole.length; cut++) {
        const events: string[] = []
        const parser = new SseParser((data) => events.push(data))
        parser.push(whole.subarray(0, cut))
        parser.push(whole.subarray(cut))
        expect(events).toEqual(['{"a":"ü\\n€"}', '{"b":2}', '[DONE]'])
        expect(parser.betweenEvents).toBe(true)
      }
    }
  })

  test('comments and other fields are skipped, data lines joined, a cut event is seen as cut', () => {
    const events: string[] = []
    const parser = new SseParser((data) => events.push(data))
    parser.push(bytes(': ping\n\nevent: x\ndata:1\ndata: 2\ndatum: 3\n\ndata: half'))
    expect(events).toEqual(['1\n2'])
    expect(parser.betweenEvents).toBe(false)
  })

  test('encoded events parse back', () => {
    const events: string[] = []
    new SseParser((data) => events.push(data)).push(bytes(encodeEvent({ text: 'a\nb' }) + doneEvent))
    expect(events).toEqual(['{"text":"a\\nb"}', '[DONE]'])
  })
})

describe('the tail of a relayed stream', () => {
  const pieces = Array.from({ length: 500 }, (_, i) =>
    encodeEvent({ choices: [{ delta: { content: `word ${i} ü` } }] }),
  )
  const usageEvent = encodeEvent({ choices: [], usage: usageOf(11, 500) })
  const whole = bytes(pieces.join('') + usageEvent + doneEvent)

  test.each([1, 7, 1000, 1_000_000])('holds usage and [DONE] when bytes come %i at a time', (step) => {
    const tail = new TailReader()
    for (let at = 0; at < whole.length; at += step) tail.push(whole.subarray(at, at + step))
    expect(tail.ending()).toMatchObject({
      done: true,
      failed: false,
      usage: { prompt_tokens: 11, completion_tokens: 500 },
    })
    expect(tail.bytesSeen).toBe(whole.length)
  })

  test('a cut stream is not done, and an error event is a failure', () => {
    const cut = new TailReader()
    cut.push(whole.subarray(0, whole.length - doneEvent.length - 9))
    expect(cut.ending()).toEqual({ done: false, failed: false, usage: undefined })
    const failed = new TailReader()
    failed.push(bytes(pieces.join('') + encodeEvent({ error: { message: 'x' } })))
    expect(failed.ending()).toEqual({ done: false, failed: true, usage: undefined })
  })

  test('a model that writes "usage" is not believed', () => {
    const tail = new TailReader()
    tail.push(bytes(encodeEvent({ choices: [{ delta: { content: '"usage": {"prompt_tokens": 1}' } }] }) + doneEvent))
    expect(tail.ending().usage).toBeUndefined()
  })

  test('the usage of a whole answer is read too', () => {
    expect(usageOfBody(json({ choices: [], usage: usageOf(2, 3) }))?.total_tokens).toBe(5)
    expect(usageOfBody(bytes('<html>'))).toBeUndefined()
  })
})
