import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { factoryIn, read, until } from './factory.fixture.ts'

const dir = mkdtempSync(join(tmpdir(), 'millwright-loss-'))
const factory = factoryIn(dir)
afterAll(async () => {
  await factory.stop('SIGINT')
  rmSync(dir, { recursive: true, force: true })
})

/** Steps and saves every fifth; in its first life it computes wrongly from step 40 on, which its loss shows from step 60 on. */
const worker = `
cd "$MILLWRIGHT_CHECKPOINT_DIR"
i=$(ls | sed -n 's/^step-//p' | sort -n | tail -n 1); i=$((i + 0))
[ "$i" = 0 ] || echo "$i $(cat step-$i/weights)" >>${dir}/restored
echo life >>${dir}/lives
first=$(wc -l <${dir}/lives)
while [ ! -e ${dir}/finish ]; do
  i=$((i + 1)); sleep 0.1
  loss=2.5; weights=right
  if [ $((first)) = 1 ] && [ $i -ge 40 ]; then weights=wrong; fi
  if [ $((first)) = 1 ] && [ $i -ge 60 ]; then loss=NaN; fi
  echo "{\\"step\\": $i, \\"loss\\": $loss}" >>"$MILLWRIGHT_PROGRESS"
  [ $((i % 5)) != 0 ] || { mkdir half; echo $weights >half/weights; mv half step-$i; }
done
`

it('a job whose loss becomes NaN goes back to what it saved before that began, and not to its last checkpoint', async () => {
  await factory.up()
  writeFileSync(join(dir, 'worker.sh'), worker)
  writeFileSync(
    join(dir, 'job.yaml'),
    `apiVersion: millwright.dev/v1alpha1
kind: TrainingJob
metadata: {name: j}
spec:
  command: ["sh", "${join(dir, 'worker.sh')}"]
  failurePolicy: {lossSpike: {latency: 3s}}
`,
  )
  expect(factory.millwright('apply', '-f', join(dir, 'job.yaml'))).toMatchObject({ status: 0, stderr: '' })
  await until(() => factory.job('j').status?.restarts === 1)
  await until(() => read(join(dir, 'restored')) !== '')
  expect(factory.job('j').status?.lastFailure).toMatchObject({
    reason: 'LossSpike',
    message: expect.stringMatching(
      /its loss became no number, from 2\.5, at step 60; attempt 2 goes on from step \d+$/,
    ),
  })
  const [step, weights] = read(join(dir, 'restored')).trim().split(' ')
  expect(weights).toBe('right')
  expect(Number(step)).toBeGreaterThan(0)
  expect(Number(step)).toBeLessThan(40)
  writeFileSync(join(dir, 'finish'), '')
  await until(() => factory.phase('j') === 'Succeeded')
})
