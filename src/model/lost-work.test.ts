import { expect, test } from 'vitest'
import { gang } from './kinds/gang.ts'
import { priceOfGang, priceOfStopping } from './lost-work.ts'

test('work since the last durable checkpoint, times the GPUs, plus the restart', () => {
  const work = { gpus: 8, sinceMs: 0, checkpointAtMs: 100_000, restartSeconds: 20 }
  expect(priceOfStopping(work, 160_000)).toEqual({
    gpuSeconds: 8 * (60 + 20),
    price: 8 * (60 + 20),
    sinceCheckpointSeconds: 60,
    onRequestSeconds: undefined,
    restartSeconds: 20,
    gpus: 8,
  })
})

test('who writes a checkpoint when asked loses the time that this takes, and the restart', () => {
  const work = { gpus: 8, sinceMs: 0, checkpointAtMs: 100_000, restartSeconds: 20, onRequestSeconds: 5 }
  expect(priceOfStopping(work, 160_000)).toMatchObject({ gpuSeconds: 8 * (5 + 20), sinceCheckpointSeconds: 60 })
})

test('what is done on a slow accelerator is worth less', () => {
  const work = { gpus: 8, sinceMs: 0, checkpointAtMs: 100_000, restartSeconds: 20, speed: 0.5 }
  expect(priceOfStopping(work, 160_000)).toMatchObject({ gpuSeconds: 640, price: 320 })
})

test("without a checkpoint, or with an older attempt's, all since the start is lost", () => {
  expect(priceOfStopping({ gpus: 1, sinceMs: 10_000, restartSeconds: 0 }, 70_000).gpuSeconds).toBe(60)
  expect(priceOfStopping({ gpus: 1, sinceMs: 10_000, checkpointAtMs: 5, restartSeconds: 0 }, 70_000).gpuSeconds).toBe(
    60,
  )
})

test('a clock that went back never makes stopping pay', () =>
  expect(priceOfStopping({ gpus: 1, sinceMs: 9_000 }, 1_000).sinceCheckpointSeconds).toBe(0))

test('a gang is priced by its committed seats, shares counted as shares', () => {
  const seat = (milli: number) => ({
    pod: 'p',
    group: 'g',
    rank: 0,
    localRank: 0,
    node: 'n',
    devices: [{ id: 'd', milli }],
    ports: [],
  })
  const seated = gang.parse({
    apiVersion: 'millwright.dev/v1alpha1',
    kind: 'Gang',
    metadata: { name: 'g', namespace: 'default' },
    spec: {
      attempt: 2,
      queue: 'default',
      priority: 0,
      groups: [{ name: 'g', min: 2, max: 2, accelerators: [{ model: 'cpu', count: 1 }] }],
    },
    status: {
      restartSeconds: 4,
      seats: {
        attempt: 2,
        epoch: 1,
        at: '1970-01-01T00:00:10.000Z',
        masterAddr: 'a',
        masterPort: 1,
        members: [seat(1000), seat(500)],
      },
      checkpoint: { step: 5, attempt: 2, at: '1970-01-01T00:00:50.000Z', digest: 'd', manifests: [] },
    },
  })
  expect(priceOfGang(seated, 60_000)).toMatchObject({ gpus: 1.5, sinceCheckpointSeconds: 10, gpuSeconds: 21 })
  const heeding = { ...seated, status: { ...seated.status, checkpointRequestSeconds: 2 } } as typeof seated
  expect(priceOfGang(heeding, 60_000)).toMatchObject({ sinceCheckpointSeconds: 10, gpuSeconds: 1.5 * (2 + 4) })
  expect(priceOfGang({ ...seated, spec: { ...seated.spec, attempt: 3 } }, 60_000)).toBeUndefined()
  expect(priceOfGang({ ...seated, status: undefined }, 60_000)).toBeUndefined()
})
