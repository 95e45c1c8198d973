import assert from "node:assert/strict";
import { test } from "node:test";
import { Api } from "./api";
import { ApiError } from "./problem";
import { SessionKeeper } from "./session";

function setUp(answers: Record<string, (call: number, init: RequestInit) => Response>) {
  const calls: string[] = [];
  const counts = new Map<string, number>();
  const fetchFake = ((path: string, init: RequestInit) => {
    const call = (counts.get(path) ?? 0) + 1;
    counts.set(path, call);
    calls.push(path);
    const answer = answers[path];
    return answer === undefined ? Promise.reject(new TypeError("no network")) : Promise.resolve(answer(call, init));
  }) as unknown as typeof fetch;
  const stored = new Map<string, string>();
  const storage = {
    getItem: (key: string) => stored.get(key) ?? null,
    setItem: (key: string, value: string) => void stored.set(key, value),
    removeItem: (key: string) => void stored.delete(key),
  };
  const session = new SessionKeeper({ fetch: fetchFake, storage, newId: () => "s1" });
  return { session, api: new Api(session, fetchFake), calls, stored };
}

const tokens = (n: number): Response =>
  Response.json({ accessToken: `a${n}`, refreshToken: `r${n}`, tokenType: "Bearer", expiresIn: 900 });
const unauthorized = (): Response => Response.json({ type: "/problems/unauthorized", status: 401 }, { status: 401 });

test("after a 401 the session is renewed once, however many ask, and the calls are repeated", async () => {
  const { session, api, calls } = setUp({
    "/api/auth/login": () => tokens(1),
    "/api/auth/refresh": () => tokens(2),
    "/api/event-types": (_call, init) =>
      (init.headers as Record<string, string>).Authorization === "Bearer a2" ? Response.json({ events: [] }) : unauthorized(),
  });
  await session.signIn("demo", "x");
  await Promise.all([api.eventTypes(), api.eventTypes(), api.eventTypes()]);
  assert.equal(calls.filter((path) => path === "/api/auth/refresh").length, 1);
  assert.equal(session.current.get()?.accessToken, "a2");
  session.signOut();
});

test("a refused renewal signs out and says why; a lost network does not", async () => {
  const { session, stored } = setUp({ "/api/auth/login": () => tokens(1), "/api/auth/refresh": unauthorized });
  await session.signIn("demo", "x");
  assert.ok(stored.size > 0);
  await assert.rejects(session.refresh("a1"), ApiError);
  assert.equal(session.current.get(), undefined);
  assert.equal(session.expired.get(), true);
  assert.equal(stored.size, 0);

  const lost = setUp({ "/api/auth/login": () => tokens(1) });
  await lost.session.signIn("demo", "x");
  await assert.rejects(lost.session.refresh("a1"));
  assert.equal(lost.session.current.get()?.refreshToken, "r1");
  lost.session.signOut();
});

test("a wrong password is an ApiError with the problem's code", async () => {
  const { session } = setUp({ "/api/auth/login": unauthorized });
  await assert.rejects(session.signIn("demo", "x"), (error) => error instanceof ApiError && error.problem.code === "unauthorized");
});
