/** What the API says when it refuses: RFC 9457, with the fields at fault. */
export interface FieldFault {
  field: string;
  code: string;
  message: string;
}

export interface Problem {
  code: string;
  title: string;
  status: number;
  detail: string;
  correlationId: string;
  errors: FieldFault[];
}

/** An answer that is no success. */
export class ApiError extends Error {
  readonly problem: Problem;
  readonly retryAfterSeconds: number | undefined;

  constructor(problem: Problem, retryAfterSeconds?: number) {
    super(problem.detail || problem.title);
    this.name = "ApiError";
    this.problem = problem;
    this.retryAfterSeconds = retryAfterSeconds;
  }

  get status(): number {
    return this.problem.status;
  }
}

/** No answer at all. */
export class NetworkError extends Error {
  constructor(cause: unknown) {
    super("The server cannot be reached.", { cause });
    this.name = "NetworkError";
  }
}

/** Worth the same request again? */
export function isTemporary(error: unknown): boolean {
  if (error instanceof NetworkError) return true;
  return error instanceof ApiError && (error.status >= 500 || error.status === 429);
}

export function toFaults(value: unknown): FieldFault[] {
  if (!Array.isArray(value)) return [];
  return value.map((entry: unknown) => {
    const fault = (entry ?? {}) as Record<string, unknown>;
    return { field: text(fault.field), code: text(fault.code), message: text(fault.message) };
  });
}

export async function readProblem(response: Response): Promise<Problem> {
  let body: Record<string, unknown> = {};
  try {
    const parsed: unknown = await response.json();
    if (parsed !== null && typeof parsed === "object") body = parsed as Record<string, unknown>;
  } catch {
    // a proxy's page, or nothing: the status has to do
  }
  return {
    code: text(body.type).replace(/^.*\/problems\//, "") || `http_${response.status}`,
    title: text(body.title) || response.statusText || `HTTP ${response.status}`,
    status: response.status,
    detail: text(body.detail),
    correlationId: text(body.correlationId) || (response.headers.get("X-Correlation-Id") ?? ""),
    errors: toFaults(body.errors),
  };
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
