import { OperatingError } from '../../base/errors.ts'
import type { Blobs, Manifest } from '../../blob/contract.ts'
import { bytesOf, readManifest } from '../../blob/manifest.ts'
import { setCondition } from '../../model/conditions.ts'
import type { Model } from '../../model/kinds/model.ts'
import type { Report } from '../../model/kinds/report.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { millwrightVersion } from '../../model/metadata.ts'
import { label } from '../../model/names.ts'
import { keyOf, refOf, refOfKey } from '../../model/refs.ts'
import { type Context, type Outcome, type Reconciler, settled } from '../reconciler.ts'

/**
 * A job that promised a model and has succeeded becomes the next version of it. The Model says which job it is of, and
 * that is looked up before one is made: a crash between the two writes never makes a second version for one job.
 */
export function createPublishing(context: Context): Reconciler {
  const { store, views, blobs, events } = context
  const jobs = views.of('TrainingJob')

  async function reconcile(key: string): Promise<Outcome> {
    const job = jobs.get(refOfKey(key))
    const wanted = job?.spec.output?.model
    const output = job === undefined ? undefined : unpublishedOf(job)
    if (job === undefined || output === undefined || wanted === undefined) return settled()
    // From the store itself: a view that lags behind would number two versions alike.
    const models = (await store.list('Model', { namespace: job.metadata.namespace })).items
    const published = versionsOf(wanted, models).find(({ spec }) => spec.lineage?.jobUid === job.metadata.uid)
    const version = published ?? (await publish(job, wanted, output, models))
    if (version === undefined) return settled()
    // By patch of this one field: the rest of the status is control/training's.
    await store.patch(
      'TrainingJob',
      refOf(job),
      { status: { model: version.metadata.name } },
      {
        status: true,
        uid: job.metadata.uid,
      },
    )
    return settled()
  }

  async function publish(
    job: TrainingJob,
    model: string,
    output: Promised,
    models: readonly Model[],
  ): Promise<Model | undefined> {
    const read = await readOutput(blobs, output)
    if (read.kind === 'lost') {
      events.record(job, 'Warning', 'PublishFailed', `${model} cannot be published: ${read.why}`)
      return undefined
    }
    const said = await reportOf(context, job, output.manifest)
    const wanted = modelFor(job, { model, output, manifest: read.manifest, said }, models, context.clock.now())
    const created = await store.create('Model', wanted, { withStatus: true })
    if (created === 'exists') {
      // Somebody took the number: the next look finds the next one.
      throw new OperatingError('taken', { retryAfterMs: 50 }, `a version of model ${model} was published meanwhile`)
    }
    events.record(job, 'Normal', 'Published', `published ${created.metadata.name}`)
    return created
  }

  return {
    name: 'publishing',
    watches: [{ kind: 'TrainingJob', keys: (job) => (job.spec.output === undefined ? [] : [keyOf(job)]) }],
    workers: 1,
    reconcile,
  }
}

type Promised = NonNullable<NonNullable<TrainingJob['status']>['output']>

/** What is still to become a Model. */
function unpublishedOf({ spec, status }: TrainingJob): Promised | undefined {
  if (spec.output === undefined || status?.phase !== 'Succeeded' || status.model !== undefined) return undefined
  return status.output
}

/** Whether the job has an output that can still become a Model, and has not yet. Throws while storage is out. */
export async function isToPublish(job: TrainingJob, blobs: Blobs): Promise<boolean> {
  const output = unpublishedOf(job)
  return output !== undefined && (await readOutput(blobs, output)).kind === 'ok'
}

async function readOutput(
  blobs: Blobs,
  { manifest, digest }: Promised,
): Promise<{ kind: 'ok'; manifest: Manifest } | { kind: 'lost'; why: string }> {
  const read = await readManifest(blobs, manifest)
  if (read.kind === 'missing') return { kind: 'lost', why: 'its manifest is not in the blob store' }
  if (read.kind !== 'ok') return { kind: 'lost', why: read.message }
  return read.digest === digest ? read : { kind: 'lost', why: 'its manifest was changed' }
}

interface Made {
  model: string
  output: Promised
  manifest: Manifest
  /** What its agent reported of it. */
  said: Output | undefined
}

function versionsOf(model: string, models: readonly Model[]): readonly Model[] {
  return models.filter(({ metadata }) => metadata.labels?.[label.model] === model)
}

/** @param models All that its namespace has. */
function modelFor(job: TrainingJob, made: Made, models: readonly Model[], nowMs: number): Model {
  const { model, output, manifest, said } = made
  const { name, namespace, uid = '' } = job.metadata
  const newest = versionsOf(model, models).reduce<Model | undefined>(
    (best, one) => (best !== undefined && best.spec.version > one.spec.version ? best : one),
    undefined,
  )
  const taken = new Set(models.map(({ metadata }) => metadata.name)) // by whatever a person applied, too
  let version = (newest?.spec.version ?? 0) + 1
  while (taken.has(`${model}-v${version}`)) version++
  const datasetDigest = datasetDigestOf(said)
  const { step, attempt = 1 } = job.status ?? {}
  const isGguf = manifest.files.some((file) => file.path.endsWith('.gguf'))
  const condition = { type: 'Ready', status: 'True', reason: 'Published', message: `made by job ${name}` } as const
  return {
    apiVersion: millwrightVersion,
    kind: 'Model',
    metadata: { name: `${model}-v${version}`, namespace, labels: { [label.model]: model } },
    spec: {
      model,
      version,
      manifest: output.manifest,
      digest: output.digest,
      bytes: bytesOf(manifest),
      format: isGguf ? 'gguf' : 'files',
      files: manifest.files,
      lineage: {
        job: name,
        jobUid: uid,
        attempt,
        ...(step === undefined ? {} : { step }),
        ...(job.spec.dataset === undefined ? {} : { dataset: job.spec.dataset }),
        ...(datasetDigest === undefined ? {} : { datasetDigest }),
        ...(newest === undefined ? {} : { parent: newest.metadata.name }),
        metrics: metricsOf(job, said),
      },
    },
    status: { conditions: setCondition(undefined, condition, nowMs) },
  }
}

type Output = NonNullable<NonNullable<Report['status']>['output']>

/**
 * What the agent reported of this very output. From the store itself: the job's success may be seen before the report is,
 * and a Model is written once.
 */
async function reportOf({ store }: Context, job: TrainingJob, manifest: string): Promise<Output | undefined> {
  const { name, namespace } = job.metadata
  const reports = (await store.list('Report', { namespace, labels: `${label.job}=${name}` })).items
  return reports.find(({ status }) => status?.output?.manifest === manifest)?.status?.output
}

/** What the job said of its own output, beside the last loss that was seen. */
function metricsOf(job: TrainingJob, said: Output | undefined): Record<string, unknown> {
  const { loss } = job.status ?? {}
  return { ...(loss === undefined ? {} : { loss }), ...said?.metrics }
}

/** As its agent read it; else as the job itself did. What the Dataset is by now may be something else. */
function datasetDigestOf(said: Output | undefined): string | undefined {
  return said?.data?.digest ?? textOf(said?.metrics?.['datasetDigest']) ?? textOf(said?.metrics?.['datasetSha256'])
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
