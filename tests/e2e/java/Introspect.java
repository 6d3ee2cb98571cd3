import java.io.PrintStream;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Timestamp;

/** Asks a server what tools built on JDBC ask, and prints one line per answer: a name and a number, or a text. */
public class Introspect {
    private static final PrintStream OUT = System.out;

    public static void main(String[] arguments) throws SQLException {
        try (Connection connection = DriverManager.getConnection(arguments[0], "anyone", "")) {
            introspect(connection);
            select(connection);
            page(connection);
            refuse(connection, "DELETE FROM state", 0);
            refuse(connection, arguments[1], 1);
        }
    }

    private static void introspect(Connection connection) throws SQLException {
        DatabaseMetaData data = connection.getMetaData();
        OUT.println("version " + data.getDatabaseProductVersion());
        OUT.println("schema " + connection.getSchema());
        OUT.println("schemas " + count(data.getSchemas()));
        OUT.println("tables " + count(data.getTables(null, "public", "%", new String[] {"TABLE"})));
        OUT.println("columns " + count(data.getColumns(null, "public", "sys_invocation", null)));
        OUT.println("keys " + count(data.getPrimaryKeys(null, "public", "sys_invocation")));
        OUT.println("imported " + count(data.getImportedKeys(null, "public", "sys_invocation")));
        OUT.println("indexes " + count(data.getIndexInfo(null, "public", "sys_invocation", false, false)));
        OUT.println("procedures " + count(data.getProcedures(null, null, "%")));
        OUT.println("types " + (count(data.getTypeInfo()) > 0));
        OUT.println("keywords " + data.getSQLKeywords());
    }

    private static void select(Connection connection) throws SQLException {
        String sql = "SELECT target, created_at FROM sys_invocation WHERE target_service_name = ? AND created_at > ?";
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            statement.setString(1, "Counter");
            statement.setTimestamp(2, new Timestamp(0));
            for (int time = 0; time < 8; time++) { // becomes a named statement on the way
                try (ResultSet rows = statement.executeQuery()) {
                    rows.next();
                    OUT.println("target " + rows.getString(1) + " " + rows.getTimestamp(2).getTime());
                }
            }
        }
        try (Statement statement = connection.createStatement()) {
            OUT.println("invocations " + count(statement.executeQuery("SELECT * FROM sys_invocation")));
            OUT.println("deployments " + count(statement.executeQuery("SELECT * FROM sys_deployment")));
        }
    }

    private static void page(Connection connection) throws SQLException {
        connection.setAutoCommit(false);
        try (Statement statement = connection.createStatement()) {
            statement.setFetchSize(100);
            OUT.println("paged " + count(statement.executeQuery("SELECT value FROM generate_series(1, 1000)")));
        }
        connection.commit();
        connection.setAutoCommit(true);
    }

    private static void refuse(Connection connection, String sql, int seconds) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.setQueryTimeout(seconds);
            statement.execute(sql);
            OUT.println("refused nothing");
        } catch (SQLException error) {
            OUT.println("refused " + error.getSQLState());
        }
    }

    private static int count(ResultSet rows) throws SQLException {
        int columns = rows.getMetaData().getColumnCount();
        int count = 0;
        for (; rows.next(); count++) {
            for (int column = 1; column <= columns; column++) {
                rows.getObject(column);
            }
        }
        rows.close();
        return count;
    }
}
