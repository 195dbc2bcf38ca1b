import { connect } from 'node:net'
import { expect, it } from 'vitest'
import { agree, isDue } from './agreement.ts'
import { freePort } from './fixture.ts'
import { joinRing, type Ring } from './ring.ts'

it.each([2, 3, 5])(
  '%i workers sum a vector to the same bits, even one shorter than they are many',
  async (worldSize) => {
    const rings = await circle(worldSize)
    for (const length of [1, 4, 70_001]) {
      const vectors = rings.map((_, rank) => Float32Array.from({ length }, (_, i) => Math.sin(i * 7 + rank)))
      const wanted = Array.from({ length }, (_, i) => vectors.reduce((sum, vector) => sum + (vector[i] ?? 0), 0))
      await Promise.all(rings.map((ring, rank) => ring.sum(vectors[rank] ?? new Float32Array())))
      const [first = new Float32Array(), ...others] = vectors
      const errors = wanted.map((value, i) => Math.abs(value - (first[i] ?? 0)))
      expect(errors.reduce((most, error) => Math.max(most, error), 0)).toBeLessThan(1e-6)
      for (const other of others) expect(Buffer.from(other.buffer).equals(Buffer.from(first.buffer))).toBe(true)
    }
    await Promise.all(rings.map((ring) => ring.close()))
  },
)

it('one worker shares its bytes with all, and leaving is no failure', async () => {
  const rings = await circle(3)
  let lost = false
  for (const ring of rings) ring.gone.then(() => (lost = true))
  const bytes = rings.map((_, rank) => new Uint8Array(100_000).fill(rank))
  await Promise.all(rings.map((ring, rank) => ring.share(bytes[rank] ?? new Uint8Array(), 1)))
  for (const each of bytes) expect(each.every((byte) => byte === 1)).toBe(true)
  expect(rings[0]?.members.map(({ step }) => step)).toEqual([0, 10, 20])
  await Promise.all(rings.map((ring) => ring.close()))
  expect(lost).toBe(false)
})

it('a worker alone needs no network', async () => {
  const ring = await joinRing({ rank: 0, worldSize: 1, masterAddr: 'nowhere', masterPort: 1 }, { run: 'a', step: 0 })
  const vector = Float32Array.of(1, 2)
  await ring.sum(vector)
  expect([...vector]).toEqual([1, 2])
})

it('workers that were started otherwise do not train together', async () => {
  const place = { worldSize: 2, masterAddr: '127.0.0.1', masterPort: await freePort() }
  const joined = await Promise.allSettled([
    joinRing({ ...place, rank: 0 }, { run: 'seed 1', step: 0 }),
    joinRing({ ...place, rank: 1 }, { run: 'seed 2', step: 0 }),
  ])
  for (const one of joined) {
    expect(one).toMatchObject({
      status: 'rejected',
      reason: { message: expect.stringContaining('rank 1 was started otherwise than rank 0: seed 2 against seed 1') },
    })
  }
})

it('who did not come is named', async () => {
  const place = { worldSize: 3, masterAddr: '127.0.0.1', masterPort: await freePort() }
  const waiting = [0, 2].map((rank) => joinRing({ ...place, rank }, { run: 'a', step: 0 }, 400))
  for (const one of await Promise.allSettled(waiting)) {
    expect(one).toMatchObject({ reason: { message: expect.stringContaining('did not come in time: rank 1 of 3') } })
  }
})

it('a stranger at the port changes nothing', async () => {
  const place = { worldSize: 2, masterAddr: '127.0.0.1', masterPort: await freePort() }
  const first = joinRing({ ...place, rank: 0 }, { run: 'a', step: 0 })
  await expect.poll(() => says(place.masterPort, 'GET / HTTP/1.1\r\n\r\n'), { timeout: 5000 }).toBe('closed')
  const rings = await Promise.all([first, joinRing({ ...place, rank: 1 }, { run: 'a', step: 0 })])
  await Promise.all(rings.map((ring) => ring.close()))
})

it('what one worker has read, all know after the same step, with the mean of gradient and loss', async () => {
  const rings = await circle(3)
  const gradients = [1, 2, 6].map((value) => new Float32Array(5).fill(value))
  const agreements = await Promise.all(
    rings.map((ring, rank) =>
      agree(ring, { rank, worldSize: 3 }, gradients[rank] ?? new Float32Array(), {
        loss: rank,
        asked: rank === 2 ? { checkpoint: 16_000_001, stop: 0 } : { checkpoint: 0, stop: rank },
        timeIsUp: rank === 0,
        terminated: rank > 0,
      }),
    ),
  )
  for (const each of agreements)
    expect(each).toEqual({ loss: 1, asked: { checkpoint: 16_000_001, stop: 1 }, timeIsUp: true, terminated: 1 })
  for (const gradient of gradients) expect([...gradient]).toEqual([3, 3, 3, 3, 3])
  await Promise.all(rings.map((ring) => ring.close()))
})

it('a wish is granted at its step, or late, but once, and not after a resume beyond it', () => {
  expect(isDue(0, 5, 0)).toBe(false)
  expect(isDue(8, 7, 0)).toBe(false)
  expect(isDue(8, 8, 0)).toBe(true)
  expect(isDue(8, 9, 0)).toBe(true)
  expect(isDue(8, 9, 8)).toBe(false)
})

async function circle(worldSize: number): Promise<Ring[]> {
  const place = { worldSize, masterAddr: '127.0.0.1', masterPort: await freePort() }
  return Promise.all(
    Array.from({ length: worldSize }, (_, rank) => joinRing({ ...place, rank }, { run: 'a', step: 10 * rank })),
  )
}

function says(port: number, words: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(words))
    socket.on('error', () => resolve('refused'))
    socket.on('close', () => resolve('closed'))
    socket.resume()
  })
}
