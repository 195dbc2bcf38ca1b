import { z } from 'zod'

/** DNS label: what Kubernetes accepts as the name of most things that become host names or label values. */
export const dnsLabel = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'lower-case letters, digits and "-", at most 63, no "-" at an end')

/** DNS subdomain: a resource's name (RFC 1123, at most 253 characters). */
export const resourceName = z
  .string()
  .max(253)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/, 'lower-case letters, digits, "-" and "."')

/** An optional DNS prefix and a name, as Kubernetes wants the keys of labels and annotations. */
const qualifiedName = z
  .string()
  .max(317)
  .regex(
    /^([A-Za-z0-9]([-A-Za-z0-9.]{0,251}[A-Za-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/,
    'an optional DNS prefix with "/" and then letters, digits, "-", "_" and "."',
  )
const labelValue = z
  .string()
  .max(63)
  .regex(/^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/, 'letters, digits, "-", "_" and ".", at most 63')
const labels = z.record(qualifiedName, labelValue)
const annotations = z.record(qualifiedName, z.string().max(262_144))

export const ownerReference = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  name: z.string(),
  uid: z.string(),
  controller: z.boolean().optional(),
  blockOwnerDeletion: z.boolean().optional(),
})

const fields = {
  name: resourceName.describe('Unique within its kind and namespace.'),
  generateName: z.string().max(200).optional().describe('Prefix of a generated name.'),
  namespace: dnsLabel.optional().describe('The project of a tenant; "default" when left out.'),
  uid: z.string().optional().describe('Set by the store; never used again.'),
  resourceVersion: z.string().optional().describe('Opaque; changes with every write.'),
  generation: z.number().int().optional().describe('Rises when spec changes.'),
  creationTimestamp: z.string().nullish().describe('Set by the store.'),
  deletionTimestamp: z.string().optional().describe('Set when deletion was asked for and finalizers remain.'),
  deletionGracePeriodSeconds: z.number().int().optional().describe('How long the deletion may take.'),
  labels: labels.optional().describe('Short facts to select by.'),
  annotations: annotations.optional().describe('Longer notes that nothing selects by.'),
  finalizers: z.array(z.string().max(317)).max(32).optional().describe('Who must agree before it is gone.'),
  ownerReferences: z.array(ownerReference).max(16).optional().describe('When these go, it goes.'),
  managedFields: z.array(z.unknown()).optional().describe('Kept for clients of Kubernetes.'),
  selfLink: z.string().optional().describe('Kept for clients of Kubernetes.'),
}

/** Metadata of our own kinds: an unknown field is an error. */
export const objectMeta = z.strictObject(fields)
/** Metadata of Kubernetes' kinds: read loosely, kept whole. */
export const looseMeta = z.looseObject(fields)

export type ObjectMeta = z.output<typeof objectMeta>
export type OwnerReference = z.output<typeof ownerReference>

export const condition = z.looseObject({
  type: z.string().describe('What this is about.'),
  status: z.enum(['True', 'False', 'Unknown']).describe('Whether it is so.'),
  reason: z.string().optional().describe('Why, in one CamelCase word.'),
  message: z.string().optional().describe('Why, in a sentence.'),
  lastTransitionTime: z.string().optional().describe('When status last changed.'),
  observedGeneration: z.number().int().optional().describe('The generation of spec that it is about.'),
})
export type Condition = z.output<typeof condition>

export const millwrightVersion = 'millwright.dev/v1alpha1'

/** What a shell and every C library accept as a variable's name; nothing else can be exported or referred to. */
export const envName = /^[A-Za-z_][A-Za-z0-9_]{0,254}$/
