import { durationMs } from '../../model/duration.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { workersOf } from '../../model/pods.ts'
import type { Performance } from '../work/workload.ts'
import { engineOf } from './engine.ts'
import type { PerformanceSpec } from './scenario.ts'

type Times = Omit<PerformanceSpec, 'of' | 'progress' | 'engine' | 'restoreFromCopy' | 'scaling' | 'stepSpread'>

/** What stands where a scenario says nothing. Figures of the field: facts/reliability.md §1; the others are ours. */
const defaults: Required<{ [K in keyof Times]: string }> = {
  work: '8h',
  stepTime: '5s',
  // A cold restart takes 200 s at 16 k GPUs, of which NCCL's start 17 s (Meta FT-HSDP, 2602.00277); how the rest is split is ours.
  prepare: '2m',
  restore: '1m3s',
  init: '17s',
  // torch DCP: 148.8 s for a synchronous save of 7 B, of which asynchronous saving stalls 6.3 s.
  stall: '6.3s',
  persist: '148.8s',
  // NCCL's own timeout.
  peerLost: '10m',
  // What a reconfiguration takes is ours: facts/reliability.md §2.2 reckons with 30 s of standing still a failure, one leaving and one joining.
  regroup: '15s',
  load: '1m',
  drain: '30s',
}

/** 7 B parameters of 12 B each, as of Llama 405B's state. */
const checkpointBytes = 84e9

/** How a job or service of this name performs; an engine has only who gets requests. Times in milliseconds. */
export function performanceOf(
  spec: PerformanceSpec,
  name: string,
  { job, hasTraffic = false }: { job?: TrainingJob | undefined; hasTraffic?: boolean },
): Performance {
  const { of, ...all } = spec
  const own = Object.hasOwn(of, name) ? of[name] : undefined
  const ms = (field: keyof Times): number => durationMs(own?.[field] ?? all[field] ?? defaults[field])
  const stepMs = ms('stepTime')
  const fromCopy = own?.restoreFromCopy ?? all.restoreFromCopy
  const workMs =
    own?.work === undefined && job?.spec.expectedSeconds !== undefined ? 1000 * job.spec.expectedSeconds : ms('work')
  const scaling = own?.scaling ?? all.scaling
  const stepSpread = own?.stepSpread ?? all.stepSpread
  return {
    prepareMs: ms('prepare'),
    restoreMs: ms('restore'),
    ...(fromCopy === undefined ? {} : { restoreFromCopyMs: durationMs(fromCopy) }),
    training: {
      steps: Math.max(1, Math.round(workMs / stepMs)),
      stepMs,
      ...(job === undefined ? {} : { ranks: workersOf(job) }),
      ...(scaling === undefined ? {} : { scaling }),
      ...(stepSpread === undefined ? {} : { stepSpread }),
      initMs: ms('init'),
      stallMs: ms('stall'),
      persistMs: ms('persist'),
      checkpointBytes,
      progress: own?.progress ?? all.progress ?? 'all',
      peerLostMs: ms('peerLost'),
      regroupMs: ms('regroup'),
    },
    replica: {
      loadMs: ms('load'),
      drainMs: ms('drain'),
      ...(hasTraffic ? { engine: engineOf(own?.engine ?? all.engine) } : {}),
    },
  }
}
