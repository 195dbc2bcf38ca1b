import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { factoryIn } from './factory.fixture.ts'

const dir = mkdtempSync(join(tmpdir(), 'millwright-gpus-'))
const bin = join(dir, 'bin')
const factory = factoryIn(join(dir, 'factory'), {
  cwd: dir,
  env: { ...process.env, PATH: [bin, process.env['PATH']].join(delimiter) },
})
afterAll(async () => {
  await factory.stop('SIGINT')
  rmSync(dir, { recursive: true, force: true })
})

it('a factory offers the cards that nvidia-smi lists, gives each to one job by its UUID, and none that is broken', async () => {
  mkdirSync(bin)
  const row = (index: number) =>
    `${index}, GPU-${index}, NVIDIA H100 80GB HBM3, 81559, Disabled, 00000000:${index}F:00.0, P0, 31`
  const words =
    'Unable to determine the device handle for GPU1: 0000:1F:00.0: GPU is lost.  Reboot the system to recover this GPU'
  writeFileSync(
    join(bin, 'nvidia-smi'),
    `#!/bin/sh\necho "${row(0)}"; echo "${words}" >&2; echo "${row(2)}"; exit 15\n`,
  )
  chmodSync(join(bin, 'nvidia-smi'), 0o755)
  await factory.up()
  const [node] = JSON.parse(factory.millwright('get', 'nodes', '-o', 'json').stdout).items
  expect([node.status.capacity['nvidia.com/gpu'], node.status.allocatable['nvidia.com/gpu']]).toEqual(['3', '2'])
  expect(factory.millwright('describe', 'node', node.metadata.name).stdout).toContain(
    'gpu-1 (gpu): 0000:1F:00.0: GPU is lost. Reboot the system to recover this GPU',
  )
  const see = ['run', '--workers', '2', '--accelerators', 'H100:1', '--', 'sh', '-c', 'echo sees $CUDA_VISIBLE_DEVICES']
  const seen = factory.millwright(...see)
  expect(seen.stdout.match(/sees GPU-\d/g)?.sort()).toEqual(['sees GPU-0', 'sees GPU-2'])
  expect(factory.millwright('run', '--detach', '--name', 'much', '--accelerators', 'H100:3', '--', 'true').status).toBe(
    0,
  )
  expect(factory.millwright('why', 'much').stdout).toContain('H100')
})
