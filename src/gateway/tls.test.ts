import { request } from 'node:http'
import { request as tlsRequest } from 'node:https'
import { afterEach, describe, expect, it } from 'vitest'
import { createAuthority } from '../api/certificate.fixture.ts'
import { type Bench, startBench } from './gateway.fixture.ts'
import type { GatewayOptions } from './server.ts'

const authority = createAuthority()
const key = 'a-key-of-a-test'
let bench: Bench | undefined
afterEach(async () => {
  await bench?.close()
  bench = undefined
})

const open = (options: Partial<GatewayOptions>) =>
  startBench(options).then((started) => {
    bench = started
    return started.gateway.url
  })

function ask(url: string, headers: Record<string, string> = {}): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const { port, host, hostname, protocol } = new URL(url)
    const to = { host: '127.0.0.1', port, path: '/v1/models', headers: { host, ...headers }, agent: false }
    const sent = protocol === 'https:' ? tlsRequest({ ...to, servername: hostname, ca: authority.cert }) : request(to)
    sent.once('error', reject)
    sent.once('response', (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    sent.end()
  })
}

describe('a gateway with a certificate', () => {
  const tls = authority.issue(['factory.example'])

  it('answers over TLS to the name in its URL, for whoever has a key', async () => {
    const url = await open({ tls, apiKeys: [key], hostNames: ['factory.example'] })
    expect(url).toMatch(/^https:\/\/factory\.example:\d+$/)
    expect(await ask(url, { authorization: `Bearer ${key}` })).toBe(200)
    expect(await ask(url)).toBe(401)
  })

  it('answers nothing without TLS', async () => {
    const url = await open({ tls, apiKeys: [key], hostNames: ['factory.example'] })
    await expect(ask(url.replace('https', 'http'))).rejects.toThrow('hang up')
  })

  it('is not started for other machines without TLS and a key, nor anywhere with an empty key', async () => {
    for (const host of ['0.0.0.0', '::', '192.0.2.1', 'factory.example'])
      for (const options of [{}, { tls }, { apiKeys: [key] }, { tls, apiKeys: [] }])
        await expect(open({ host, ...options })).rejects.toThrow('would be open to the network')
    for (const apiKeys of [[''], [key, ' ']]) await expect(open({ apiKeys })).rejects.toThrow('is empty')
  })
})
