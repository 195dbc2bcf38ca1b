import { parseArgs } from 'node:util'
import { chart } from './chart.ts'
import { Commands } from './commands.ts'
import { jobFile, serviceFile } from './files.ts'

/**
 * The main job of this repository, end to end, on this machine: train, kill, recover, publish, serve, sleep, wake,
 * account. It drives the `millwright` command line as a person would and prints each command; nothing here has a
 * door that others lack.
 */
const help = `millwright demo [options]

  --data PATH         text to train on, a file or a folder (default: the Markdown of this installation)
  --workers N         data-parallel workers (default 2)
  --steps N           optimiser steps (default 400)
  --seconds N         stop training after so many seconds, whatever the step (default 60)
  --kill-every N      SIGKILL a worker every N seconds (default: once, in mid-training)
  --dir FOLDER        folder of the demo's factory, made anew (default .millwright/demo)
  --keep              leave the factory running at the end
  --help`

const { values } = options()
if (values.help) {
  console.log(help)
  process.exit(0)
}
const workers = whole('workers', 1, 64)
const steps = whole('steps', 20, 1_000_000)
const seconds = whole('seconds', 5, 86_400)
const killEvery = values['kill-every'] === undefined ? undefined : whole('kill-every', 1, 86_400)

const commands = new Commands(values.dir ?? '.millwright/demo')
let code = 1
process.once('SIGINT', () => void finish(130))
process.once('SIGTERM', () => void finish(143))
try {
  await story()
  code = 0
} catch (error) {
  console.error(`\ndemo: ${error instanceof Error ? error.message : String(error)}`)
  console.error(commands.hints())
}
await finish(code)

async function story(): Promise<void> {
  const started = Date.now()
  title('1. A factory on this machine')
  await commands.up(Math.max(4, workers + 2))

  title(`2. Train: ${workers} workers, one gang, real text`)
  const job = commands.file(
    'train.yaml',
    jobFile({ workers, steps, seconds, data: values.data, often: killEvery !== undefined }),
  )
  await commands.show(['apply', '-f', job])
  await train()

  title('3. The published model')
  await commands.show(['get', 'models'])

  title('4. Serve it, from zero')
  const service = commands.file('serve.yaml', serviceFile())
  await commands.show(['apply', '-f', service])
  await commands.until(
    'the service to be declared',
    ['get', 'inferenceservice', 'tiny-chat', '-o', 'json'],
    (found) => phaseOf(found) !== undefined,
  )
  await ask('The request wakes a replica; the text streams from llama.cpp')
  console.log('\nNo requests for a while: the service goes to zero ...')
  const idle = Date.now()
  await commands.until(
    'zero replicas',
    ['get', 'inferenceservice', 'tiny-chat', '-o', 'json'],
    (found) => phaseOf(found) === 'Zero',
  )
  console.log(`... and is at zero after ${((Date.now() - idle) / 1000).toFixed(1)} s. The next request wakes it again:`)
  await ask('From zero')

  title('5. Where every slot-second went')
  await commands.show(['ledger'])
  await commands.show(['ledger', '--by', 'owner'])
  await commands.show(['status'])
  console.log(`\nAll of it took ${((Date.now() - started) / 1000).toFixed(0)} s.`)
}

async function train(): Promise<void> {
  const curve: { x: number; y: number }[] = []
  const kills: { at: number; step: number; pid: number; pod: string }[] = []
  let restarts = 0
  let said = 0
  const begun = Date.now()
  for await (const job of commands.follow(['get', 'trainingjob', 'tiny-llama', '-w', '-o', 'json'])) {
    const status = (job as Job).status ?? {}
    const { step = 0, loss } = status
    if (loss !== undefined && step > (curve.at(-1)?.x ?? 0)) curve.push({ x: step, y: loss })
    if (Date.now() - said > 2000 && step > 0) {
      said = Date.now()
      const saved = status.checkpoint === undefined ? '' : `, checkpoint at ${status.checkpoint.step}`
      console.log(
        `  step ${step}  loss ${loss?.toFixed(3) ?? '-'}  ${(status.tokensPerSecond ?? 0).toFixed(0)} tokens/s${saved}`,
      )
    }
    if ((status.restarts ?? 0) > restarts) {
      restarts = status.restarts ?? 0
      const kill = kills.at(-1)
      console.log(
        `  the gang starts again as attempt ${status.attempt}: ${status.lastFailure?.message ?? ''}${kill ? ` (killed ${Date.now() - kill.at} ms ago)` : ''}`,
      )
    }
    if (status.phase === 'Running' && dueToKill(status, kills, begun)) {
      const victim = await commands.worker('tiny-llama', workers - 1)
      if (victim !== undefined) {
        console.log(
          `\n$ kill -9 ${victim.pid}      # rank ${workers - 1}, in mid-training, at step ${step}; last durable checkpoint: step ${status.checkpoint?.step}`,
        )
        process.kill(victim.pid, 'SIGKILL')
        kills.push({ at: Date.now(), step, ...victim })
      }
    }
    if (status.phase === 'Failed')
      throw new Error(`the job failed: ${status.message ?? status.lastFailure?.message ?? 'see the log'}`)
    if (status.phase === 'Succeeded' && status.model !== undefined) {
      console.log(
        `\nloss (nats per byte) over steps; ${kills.length} worker${kills.length === 1 ? '' : 's'} killed, ${restarts} restart${restarts === 1 ? '' : 's'}, ${(status.lostSeconds ?? 0).toFixed(1)} slot-seconds of work lost`,
      )
      console.log(chart(curve))
      break
    }
  }
  if (kills.length === 0) throw new Error('training ended before a worker could be killed; give it more --steps')
  if (restarts === 0) throw new Error('a worker was killed, but no restart was seen')
  await commands.show(['logs', 'tiny-llama', '--rank', '0', '--tail', '6'])
}

/** Once, when a third is done and a checkpoint is durable; or every N seconds. */
function dueToKill(status: Status, kills: { at: number; step: number }[], begun: number): boolean {
  const { step = 0, checkpoint } = status
  if (checkpoint === undefined || step <= checkpoint.step) return false
  const last = kills.at(-1)
  if (killEvery !== undefined)
    return Date.now() - (last?.at ?? begun) >= killEvery * 1000 && step > (last?.step ?? 0) && step < steps - 10
  return kills.length === 0 && (step >= steps / 3 || Date.now() - begun > (seconds * 1000) / 3)
}

async function ask(note: string): Promise<void> {
  console.log(`\n# ${note}`)
  const asked = Date.now()
  const { firstMs } = await commands.stream([
    'chat',
    'tiny-chat',
    '--raw',
    '--max-tokens',
    '160',
    '--temperature',
    '0.6',
    '## Install\n\nThe ',
  ])
  console.log(
    `# first byte after ${firstMs} ms, whole answer after ${Date.now() - asked} ms (the command's own start included)`,
  )
}

async function finish(exitCode: number): Promise<void> {
  if (values.keep && exitCode === 0) {
    console.log(`\nThe factory goes on: millwright --dir ${commands.dir} status; stop it with: kill ${commands.pid()}`)
    process.exit(0)
  }
  await commands.down()
  if (exitCode === 0) console.log(`\n${commands.next()}`)
  process.exit(exitCode)
}

function title(text: string): void {
  console.log(`\n── ${text} ${'─'.repeat(Math.max(0, 74 - text.length))}`)
}

interface Status {
  phase?: string
  step?: number
  loss?: number
  tokensPerSecond?: number
  attempt?: number
  restarts?: number
  lostSeconds?: number
  checkpoint?: { step: number }
  lastFailure?: { message: string }
  message?: string
  model?: string
}
interface Job {
  status?: Status
}

function phaseOf(object: unknown): string | undefined {
  return (object as Job).status?.phase
}

function options() {
  try {
    return parseArgs({
      options: {
        data: { type: 'string' },
        workers: { type: 'string', default: '2' },
        steps: { type: 'string', default: '400' },
        seconds: { type: 'string', default: '60' },
        'kill-every': { type: 'string' },
        dir: { type: 'string' },
        keep: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
  } catch (error) {
    console.error(`demo: ${error instanceof Error ? error.message.split('. ')[0] : error}\n\n${help}`)
    process.exit(2)
  }
}

function whole(name: 'workers' | 'steps' | 'seconds' | 'kill-every', min: number, max: number): number {
  const text = values[name] ?? ''
  const value = Number(text)
  if (Number.isInteger(value) && value >= min && value <= max) return value
  console.error(`demo: --${name}: found "${text}"; allowed are whole numbers from ${min} to ${max}`)
  process.exit(2)
}
