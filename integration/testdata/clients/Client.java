// Resumes with Java's JSSE. Arguments and lines are those of openssl.sh, but
// nobody gets to see a ticket, and it can neither be named nor copied: it is in
// the cache of an SSLContext, found by host name and port, until TLS 1.3 takes it
// from there to offer it. So a kept ticket is OFFERS contexts with one ticket
// each, from as many connections, and every offer uses one of them up.

import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.InputStreamReader;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import javax.net.ssl.SNIHostName;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

class Client {
    private static final int OFFERS = 9; // at three nodes, each in three phases

    public static void main(String[] args) throws Exception {
        String name = args[0], caFile = args[1], version = "TLSv1." + args[3];
        var roots = KeyStore.getInstance(KeyStore.getDefaultType());
        roots.load(null, null);
        try (var file = new FileInputStream(caFile)) {
            roots.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(file));
        }
        var trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(roots);

        Map<String, Queue<SSLContext>> tickets = new HashMap<>();
        var lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = lines.readLine()) != null; ) {
            String[] words = line.split(" ");
            String address = words[0], offer = words[1], keep = words[2], answer = "";
            Queue<SSLContext> contexts = new ArrayDeque<>();
            if (!offer.equals("-")) {
                contexts.add(tickets.get(offer).remove());
                answer = visit(contexts.element(), address, name, version);
            } else {
                while (contexts.size() < OFFERS) {
                    var context = SSLContext.getInstance("TLS");
                    context.init(null, trust.getTrustManagers(), null);
                    contexts.add(context);
                    answer = visit(context, address, name, version);
                }
            }
            if (!keep.equals("-")) {
                tickets.put(keep, contexts);
            }
            System.out.println(answer);
        }
    }

    private static String visit(SSLContext context, String address, String name, String version) throws Exception {
        String host = address.split(":")[0];
        int port = Integer.parseInt(address.split(":")[1]);
        try (var raw = new Socket()) {
            raw.connect(new InetSocketAddress(host, port), 10_000);
            raw.setSoTimeout(10_000);
            try (var socket = (SSLSocket) context.getSocketFactory().createSocket(raw, name, port, true)) {
                var parameters = socket.getSSLParameters();
                parameters.setProtocols(new String[] {version});
                parameters.setEndpointIdentificationAlgorithm("HTTPS");
                parameters.setServerNames(List.of(new SNIHostName(name))); // by itself it sends none without a dot
                socket.setSSLParameters(parameters);
                long begin = System.currentTimeMillis();
                socket.startHandshake();
                // JSSE has no word for it. But a session that is resumed was created
                // at the full handshake that it goes back to, with however many
                // tickets between.
                String word = socket.getSession().getCreationTime() < begin ? "Reused" : "New";
                socket.getOutputStream().write(("GET / HTTP/1.1\r\nHost: " + name + "\r\nConnection: close\r\n\r\n").getBytes());
                String answer = new String(socket.getInputStream().readAllBytes()); // the ticket comes with it
                return word + "\n" + answer.substring(answer.indexOf("\r\n\r\n") + 4);
            }
        }
    }
}
