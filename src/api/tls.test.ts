import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAuthority } from './certificate.fixture.ts'
import { type Client, createClient } from './client.ts'
import { startTestApi, type TestApi, token } from './test-api.ts'

const authority = createAuthority()
let at: TestApi
let port = ''
const clients: Client[] = []

beforeAll(async () => {
  at = await startTestApi({ tls: authority.issue(['factory.example', '127.0.0.1']), hosts: ['factory.example'] })
  port = new URL(at.api.url).port
})
afterAll(async () => {
  for (const client of clients) client.close()
  await at.close()
})

function clientOf(name: string, scheme = 'https'): Client {
  const trust = { certificateAuthority: authority.cert, address: '127.0.0.1' }
  const client = createClient({ server: `${scheme}://${name}:${port}`, token, ...trust })
  clients.push(client)
  return client
}

describe('an API with a certificate', () => {
  it('answers over TLS to the name that it was given, which stands in its URL', async () => {
    expect(at.api.url).toBe(`https://factory.example:${port}`)
    expect((await clientOf('factory.example').list('Namespace')).items).toHaveLength(1)
  })

  it('answers nothing without TLS, on loopback neither', async () => {
    await expect(clientOf('127.0.0.1', 'http').list('Namespace')).rejects.toThrow('does it speak TLS (https://)?')
  })

  it('watches and follows as it does without', async () => {
    const stop = new AbortController()
    for await (const event of clientOf('factory.example').watch('Namespace', {}, stop.signal)) {
      expect(event.object.metadata.name).toBe('default')
      stop.abort()
    }
  })
})
